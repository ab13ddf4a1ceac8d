//! Ethereum's signatures as lanes.

use phalanx::Rules;
use phalanx::chain::ethereum::Transaction;
use phalanx::scheme::ecdsa::{RecoverItem, SignatureBytes};

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
