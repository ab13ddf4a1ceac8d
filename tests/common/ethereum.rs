//! Ethereum's signatures as lanes.

use alloy_hardforks::EthereumHardfork;
use phalanx::Rules;
use phalanx::chain::ethereum::{ChainSpec, Transaction, VerifiedBlock, VerifiedTransaction};
use phalanx::scheme::ecdsa::{RecoverItem, SignatureBytes, Signer};

use super::oracle;
use super::paths::Case;

/// The signature of a transaction, to be judged by these rules.
pub(crate) fn recover_item(transaction: &Transaction, rules: Rules) -> RecoverItem {
    let signature = transaction.signature();
    RecoverItem {
        digest: transaction.signature_hash().0,
        signature: SignatureBytes { r: signature.r().to_be_bytes(), s: signature.s().to_be_bytes() },
        recovery_id: signature.v().into(),
        rules,
    }
}

/// The signatures of a verified block's transactions, each under the rules of its fork, with the signers that libsecp256k1 recovers;
/// they are the senders that the block was verified with.
pub(crate) fn recoveries(block: &VerifiedBlock) -> Vec<Case<RecoverItem, Signer>> {
    let is_homestead = ChainSpec::mainnet().at(block.header()).has(EthereumHardfork::Homestead);
    let case = |verified: &VerifiedTransaction| {
        let transaction = verified.transaction();
        let rules = match transaction {
            Transaction::Legacy(_) if !is_homestead => Rules::EthFrontier,
            Transaction::Legacy(_) => Rules::EthHomestead,
            _ => Rules::EthTyped,
        };
        let item = recover_item(transaction, rules);
        let signer = oracle::recover(&item);
        assert_eq!(signer.map(|signer| signer.address), Ok(verified.sender().0.0));
        (Ok(item), signer.into())
    };
    block.transactions().iter().map(case).collect()
}
