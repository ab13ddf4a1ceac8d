//! What the EVM is told of a block and of a transaction.

use alloy_consensus::{Header, Transaction as _, Typed2718};
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization};
use alloy_evm::EvmEnv;
use alloy_hardforks::EthereumHardfork;
use revm::context::TxEnv;
use revm::context_interface::either::Either;
use revm::primitives::hardfork::SpecId;

use crate::chain::ethereum::{ActiveForks, VerifiedTransaction};

/// The environment of a block.
///
/// revm does not know Constantinople by itself, only with the repeal of EIP-1283 that Petersburg brought. It is
/// given Petersburg there: a block that relies on EIP-1283's metering comes out with another gas and is reported.
pub(super) fn block_environment(header: &Header, forks: &ActiveForks<'_>) -> EvmEnv {
    let mut environment = EvmEnv::for_eth_block(header, forks, forks.chain().chain_id(), forks.blob_params());
    if forks.newest() == EthereumHardfork::Constantinople {
        environment.cfg_env.set_spec_and_mainnet_gas_params(SpecId::PETERSBURG);
    }
    environment
}

/// The environment of a transaction: senders and authorities are those that verification recovered.
pub(super) fn transaction_environment(verified: &VerifiedTransaction) -> TxEnv {
    let transaction = verified.transaction();
    let authorization_list = transaction
        .authorization_list()
        .unwrap_or_default()
        .iter()
        .zip(verified.authorities())
        .map(|(authorization, authority)| {
            let authority = authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
            Either::Right(RecoveredAuthorization::new_unchecked(authorization.inner().clone(), authority))
        })
        .collect();
    TxEnv {
        tx_type: transaction.ty(),
        caller: verified.sender(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: transaction.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list,
    }
}
