//! Which fork's rules apply to which block.

use alloy_consensus::Header;
use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
use alloy_eips::eip7840::BlobParams;
use alloy_eips::eip7892::BlobScheduleBlobParams;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_hardforks::mainnet::MAINNET_PARIS_BLOCK;
use alloy_hardforks::{EthereumChainHardforks, EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};

/// A chain: its id, when its forks activate, and its blob parameters over time.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    chain_id: u64,
    /// Activation of every fork but Paris, which no block number decides; in fork order.
    activations: Vec<(EthereumHardfork, ForkCondition)>,
    /// The total difficulty from which on blocks are proof-of-stake; `None` if never.
    terminal_total_difficulty: Option<U256>,
    /// The number of the first proof-of-stake block, where it is history.
    merge_block: Option<u64>,
    blob_schedule: BlobScheduleBlobParams,
    deposit_contract: Address,
}

/// More blobs than any block could carry; keeps blob gas far from overflowing.
const MAX_BLOBS_PER_BLOCK: u64 = 1 << 20;

/// Why a genesis describes no chain that can be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A fork that this version does not execute.
    #[error("field config.{field}: the fork is not supported; the newest supported one is Osaka with BPO1 to BPO5")]
    UnsupportedFork {
        /// The field of the genesis.
        field: &'static str,
    },
    /// A fork is scheduled before one that it builds on.
    #[error("field config.{field}: activates before config.{before}, which it builds on")]
    ForkOrder {
        /// The later fork's field.
        field: &'static str,
        /// The earlier fork's field.
        before: &'static str,
    },
    /// A fork is scheduled, and one that it builds on is not.
    #[error("field config.{field}: scheduled without config.{missing}, which it builds on")]
    ForkMissing {
        /// The later fork's field.
        field: &'static str,
        /// The earlier fork's field.
        missing: &'static str,
    },
    /// EIP-155 and EIP-158 are one fork, Spurious Dragon, and no client follows them apart.
    #[error("field config.eip155Block: not the same as config.eip158Block")]
    SplitSpuriousDragon,
    /// Blob parameters with which a blob fee cannot be computed.
    #[error(
        "field config.blobSchedule.{entry}: needs 0 < max <= {MAX_BLOBS_PER_BLOCK}, target <= max and baseFeeUpdateFraction > 0"
    )]
    BlobSchedule {
        /// The entry of the schedule.
        entry: String,
    },
}

impl ChainSpec {
    /// Ethereum's mainnet.
    #[must_use]
    pub fn mainnet() -> Self {
        let forks = EthereumChainHardforks::mainnet();
        let activation = |fork| (fork, forks.ethereum_fork_activation(fork));
        let scheduled = [(EthereumHardfork::Bpo1, BlobParams::bpo1()), (EthereumHardfork::Bpo2, BlobParams::bpo2())]
            .into_iter()
            .filter_map(|(fork, params)| match forks.ethereum_fork_activation(fork) {
                ForkCondition::Timestamp(time) => Some((time, params)),
                _ => None,
            });
        Self {
            chain_id: 1,
            activations: EthereumHardfork::VARIANTS.iter().copied().map(activation).collect(),
            // EIP-3675.
            terminal_total_difficulty: Some(U256::from(58_750_000_000_000_000_000_000_u128)),
            merge_block: Some(MAINNET_PARIS_BLOCK),
            blob_schedule: BlobScheduleBlobParams::mainnet().with_scheduled(scheduled),
            deposit_contract: MAINNET_DEPOSIT_CONTRACT_ADDRESS,
        }
    }

    /// The chain that a geth-style genesis describes.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, SpecError> {
        let config = &genesis.config;
        for (field, time) in [("amsterdamTime", config.amsterdam_time), ("bogotaTime", config.bogota_time)] {
            if time.is_some() {
                return Err(SpecError::UnsupportedFork { field });
            }
        }
        for (entry, params) in &config.blob_schedule {
            let counts = (1..=MAX_BLOBS_PER_BLOCK).contains(&params.max_blob_count)
                && params.target_blob_count <= params.max_blob_count;
            if !counts || params.update_fraction == 0 {
                return Err(SpecError::BlobSchedule { entry: entry.clone() });
            }
        }
        if config.eip155_block != config.eip158_block {
            return Err(SpecError::SplitSpuriousDragon);
        }
        let (blocks, times) = (block_forks(config), time_forks(config));
        check_order(&blocks)?;
        check_order(&times)?;
        if let Some((field, ..)) = times.iter().find(|(.., at)| at.is_some() && config.london_block.is_none()) {
            return Err(SpecError::ForkMissing { field, missing: "londonBlock" });
        }
        // The DAO fork changes state only on chains that supported it.
        let dao = config.dao_fork_block.filter(|_| config.dao_fork_support);
        let mut activations = vec![
            (EthereumHardfork::Frontier, ForkCondition::Block(0)),
            (EthereumHardfork::Dao, dao.map_or(ForkCondition::Never, ForkCondition::Block)),
        ];
        activations
            .extend(blocks.map(|(_, fork, block)| (fork, block.map_or(ForkCondition::Never, ForkCondition::Block))));
        activations
            .extend(times.map(|(_, fork, time)| (fork, time.map_or(ForkCondition::Never, ForkCondition::Timestamp))));
        activations.sort_by_key(|(fork, _)| *fork);
        Ok(Self {
            chain_id: config.chain_id,
            activations,
            terminal_total_difficulty: if config.terminal_total_difficulty_passed {
                Some(config.terminal_total_difficulty.unwrap_or_default())
            } else {
                config.terminal_total_difficulty
            },
            merge_block: None,
            blob_schedule: config.blob_schedule_blob_params(),
            deposit_contract: config.deposit_contract_address.unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
        })
    }

    /// The same chain with every block fork up to `fork` active from its first block, and none after it. For
    /// asking what a fork makes of a transaction.
    #[must_use]
    pub fn frozen_at(mut self, fork: EthereumHardfork) -> Self {
        for (candidate, activation) in &mut self.activations {
            *activation = match candidate {
                candidate if *candidate > fork || *candidate == EthereumHardfork::Dao => ForkCondition::Never,
                candidate if *candidate >= EthereumHardfork::Shanghai => ForkCondition::Timestamp(0),
                _ => ForkCondition::Block(0),
            };
        }
        self.terminal_total_difficulty = (fork >= EthereumHardfork::Paris).then_some(U256::ZERO);
        self.merge_block = None;
        self
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract whose logs are deposits (EIP-6110).
    #[must_use]
    pub fn deposit_contract(&self) -> Address {
        self.deposit_contract
    }

    /// The total difficulty from which on blocks are proof-of-stake (EIP-3675); `None` if never.
    #[must_use]
    pub fn terminal_total_difficulty(&self) -> Option<U256> {
        self.terminal_total_difficulty
    }

    /// The number of the first proof-of-stake block, where it is history and not decided by total difficulty.
    #[must_use]
    pub fn merge_block(&self) -> Option<u64> {
        self.merge_block
    }

    /// When a fork activates, `Never` for Paris, which no number or time decides.
    pub(super) fn activation(&self, fork: EthereumHardfork) -> ForkCondition {
        let found = self.activations.iter().find(|(candidate, _)| *candidate == fork);
        found.map_or(ForkCondition::Never, |(_, activation)| *activation)
    }

    /// What is active at a block.
    #[must_use]
    pub fn at(&self, header: &Header) -> ActiveForks<'_> {
        self.at_block(header.number, header.timestamp, header.difficulty.is_zero())
    }

    /// What is active at a block given by its number, its timestamp in seconds, and whether its difficulty is
    /// zero: that, and no number, tells proof-of-stake blocks apart (EIP-3675).
    #[must_use]
    pub fn at_block(&self, number: u64, timestamp: u64, zero_difficulty: bool) -> ActiveForks<'_> {
        let merged = zero_difficulty && self.terminal_total_difficulty.is_some();
        ActiveForks { spec: self, number, timestamp, merged }
    }
}

/// The forks of a chain as one of its blocks sees them.
#[derive(Clone, Copy, Debug)]
pub struct ActiveForks<'a> {
    spec: &'a ChainSpec,
    number: u64,
    timestamp: u64,
    merged: bool,
}

impl<'a> ActiveForks<'a> {
    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &'a ChainSpec {
        self.spec
    }

    /// Whether the fork is active.
    #[must_use]
    pub fn has(&self, fork: EthereumHardfork) -> bool {
        match self.ethereum_fork_activation(fork) {
            ForkCondition::Block(block) => self.number >= block,
            ForkCondition::Timestamp(time) => self.timestamp >= time,
            ForkCondition::TTD { .. } | ForkCondition::Never => false,
        }
    }

    /// The newest active fork.
    #[must_use]
    pub fn newest(&self) -> EthereumHardfork {
        EthereumHardfork::VARIANTS
            .iter()
            .rev()
            .copied()
            .find(|fork| self.has(*fork))
            .unwrap_or(EthereumHardfork::Frontier)
    }

    /// The blob parameters in force (EIP-7840, EIP-7892), `None` before Cancun.
    #[must_use]
    pub fn blob_params(&self) -> Option<BlobParams> {
        let schedule = &self.spec.blob_schedule;
        if self.has(EthereumHardfork::Osaka) {
            Some(*schedule.active_scheduled_params_at_timestamp(self.timestamp).unwrap_or(&schedule.osaka))
        } else if self.has(EthereumHardfork::Prague) {
            Some(schedule.prague)
        } else if self.has(EthereumHardfork::Cancun) {
            Some(schedule.cancun)
        } else {
            None
        }
    }
}

impl EthereumHardforks for ActiveForks<'_> {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        if fork == EthereumHardfork::Paris {
            return if self.merged { ForkCondition::Block(0) } else { ForkCondition::Never };
        }
        // Forks by time come after the merge, and do not reach a proof-of-work block however late it is.
        match self.spec.activation(fork) {
            ForkCondition::Timestamp(_) if !self.merged => ForkCondition::Never,
            activation => activation,
        }
    }
}

type Scheduled = (&'static str, EthereumHardfork, Option<u64>);

fn block_forks(config: &ChainConfig) -> [Scheduled; 12] {
    use EthereumHardfork as Fork;
    [
        ("homesteadBlock", Fork::Homestead, config.homestead_block),
        ("eip150Block", Fork::Tangerine, config.eip150_block),
        ("eip158Block", Fork::SpuriousDragon, config.eip158_block),
        ("byzantiumBlock", Fork::Byzantium, config.byzantium_block),
        ("constantinopleBlock", Fork::Constantinople, config.constantinople_block),
        // Constantinople without Petersburg's repeal of EIP-1283 is what a missing field would mean; geth reads
        // it so that both activate together.
        ("petersburgBlock", Fork::Petersburg, config.petersburg_block.or(config.constantinople_block)),
        ("istanbulBlock", Fork::Istanbul, config.istanbul_block),
        ("muirGlacierBlock", Fork::MuirGlacier, config.muir_glacier_block),
        ("berlinBlock", Fork::Berlin, config.berlin_block),
        ("londonBlock", Fork::London, config.london_block),
        ("arrowGlacierBlock", Fork::ArrowGlacier, config.arrow_glacier_block),
        ("grayGlacierBlock", Fork::GrayGlacier, config.gray_glacier_block),
    ]
}

fn time_forks(config: &ChainConfig) -> [Scheduled; 9] {
    use EthereumHardfork as Fork;
    [
        ("shanghaiTime", Fork::Shanghai, config.shanghai_time),
        ("cancunTime", Fork::Cancun, config.cancun_time),
        ("pragueTime", Fork::Prague, config.prague_time),
        ("osakaTime", Fork::Osaka, config.osaka_time),
        ("bpo1Time", Fork::Bpo1, config.bpo1_time),
        ("bpo2Time", Fork::Bpo2, config.bpo2_time),
        ("bpo3Time", Fork::Bpo3, config.bpo3_time),
        ("bpo4Time", Fork::Bpo4, config.bpo4_time),
        ("bpo5Time", Fork::Bpo5, config.bpo5_time),
    ]
}

/// Whether a chain may do without a fork and still have later ones.
fn is_optional(fork: EthereumHardfork) -> bool {
    use EthereumHardfork as Fork;
    matches!(fork, Fork::MuirGlacier | Fork::ArrowGlacier | Fork::GrayGlacier) || fork >= Fork::Bpo1
}

/// Whether forks are scheduled in order, and none without those that it builds on.
fn check_order(forks: &[Scheduled]) -> Result<(), SpecError> {
    let mut before: Option<(&'static str, u64)> = None;
    let mut missing = None;
    for (field, fork, at) in forks {
        match (*at, missing, before) {
            (None, None, _) if !is_optional(*fork) => missing = Some(*field),
            (Some(_), Some(missing), _) => return Err(SpecError::ForkMissing { field, missing }),
            (Some(at), _, Some((before, earliest))) if at < earliest => {
                return Err(SpecError::ForkOrder { field, before });
            }
            (Some(at), ..) => before = Some((*field, at)),
            _ => {}
        }
    }
    Ok(())
}
