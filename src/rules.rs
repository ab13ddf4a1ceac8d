//! Which encodings a signature check accepts: a named value that travels with every item.

/// The acceptance rules of one signature, named after the protocol that sets them.
///
/// Every signature algorithm here agrees on the mathematics; they differ in which of the mathematically
/// valid encodings they accept. No function of this crate has a default for it: the caller names the rules,
/// and every backend, first attempt or fallback, is handed the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rules {
    /// SEC 1 as written: any r and s in `[1, n - 1]`, recovery ids 0 to 3.
    Sec1,
    /// Ethereum before Homestead: any s in range; recovery ids 0 and 1.
    EthFrontier,
    /// Ethereum from Homestead on: EIP-2 allows s of at most n / 2; recovery ids 0 and 1.
    EthHomestead,
    /// Typed transactions (EIP-2718) and EIP-7702 authorizations: low s, and a y parity of 0 or 1.
    EthTyped,
    /// Bitcoin's consensus: a high s is accepted, since its checker normalises s before verifying.
    BitcoinConsensus,
    /// Bitcoin's relay policy, BIP-62's low s on top of consensus.
    BitcoinPolicy,
}

impl Rules {
    /// Every value, in declaration order.
    pub const ALL: [Self; 6] = [
        Self::Sec1,
        Self::EthFrontier,
        Self::EthHomestead,
        Self::EthTyped,
        Self::BitcoinConsensus,
        Self::BitcoinPolicy,
    ];

    /// Whether s must be at most n / 2.
    #[must_use]
    pub const fn requires_low_s(self) -> bool {
        match self {
            Self::EthHomestead | Self::EthTyped | Self::BitcoinPolicy => true,
            Self::Sec1 | Self::EthFrontier | Self::BitcoinConsensus => false,
        }
    }

    /// The largest recovery id accepted: 1 where R.x is r itself, 3 where r + n is considered too.
    #[must_use]
    pub const fn max_recovery_id(self) -> u8 {
        match self {
            Self::EthFrontier | Self::EthHomestead | Self::EthTyped => 1,
            Self::Sec1 | Self::BitcoinConsensus | Self::BitcoinPolicy => 3,
        }
    }
}
