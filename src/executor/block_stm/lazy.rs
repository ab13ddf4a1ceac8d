//! Changes of an account that commute, and what a sequence of changes comes to.
//!
//! Where every transaction changes the same balance, as the block beneficiary's, none need wait for another: a credit is
//! the same whatever it is added to. Such changes are written as they are and summed up by whoever reads the account, and
//! at the end. A debit is lazy only where nothing but the debit depends on the balance: its condition, that the sender has
//! its nonce and can pay, is checked at the end, when everything before it is known.

use revm::primitives::{B256, KECCAK_EMPTY, U256};
use revm::state::AccountInfo;

use super::multi_version::{Position, Written};

/// What a transaction did to an account, its storage aside.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The account became this.
    Set {
        /// What it is now; `None` if it does not exist.
        info: Option<AccountInfo>,
        /// How it came to that.
        event: Event,
    },
    /// It was touched, and given this many wei.
    Credit(U256),
    /// It sent a transaction that ran no code.
    Debit {
        /// The nonce it must have had.
        nonce: u64,
        /// What it must have had to be allowed to send: the most that the transaction could have cost.
        required: U256,
        /// What the transaction took from it.
        amount: U256,
    },
}

/// How an account came to be what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nonce, balance or code changed.
    Changed,
    /// A contract was created: there is no storage but what was written since.
    Created,
    /// SELFDESTRUCT removed it.
    Destroyed,
    /// It was touched and is empty, so that it is removed (EIP-161).
    Emptied,
}

impl Event {
    /// Whether no storage from before is left.
    pub(super) fn resets_storage(self) -> bool {
        self != Self::Changed
    }
}

/// A change that cannot have been made: the block, if nothing below changes any more, is not valid, or its sums overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Impossible;

impl Change {
    /// Makes the change. Where it is impossible, something is made of it that a transaction can read; it will be read again,
    /// or the block be given up.
    pub(super) fn apply(&self, info: &mut Option<AccountInfo>) -> Result<(), Impossible> {
        match self {
            Self::Set { info: new, .. } => {
                info.clone_from(new);
                Ok(())
            }
            Self::Credit(amount) => {
                if let Some(account) = info {
                    let (sum, overflow) = account.balance.overflowing_add(*amount);
                    account.balance = sum;
                    return if overflow { Err(Impossible) } else { Ok(()) };
                }
                // Touched and still empty, it goes on not to exist.
                if !amount.is_zero() {
                    *info = Some(AccountInfo::default().with_balance(*amount));
                }
                Ok(())
            }
            Self::Debit { nonce, required, amount } => {
                let account = info.get_or_insert_default();
                let possible = account.nonce == *nonce && account.balance >= *required && amount <= required;
                account.nonce = nonce.wrapping_add(1);
                account.balance = account.balance.saturating_sub(*amount);
                if possible { Ok(()) } else { Err(Impossible) }
            }
        }
    }

    fn is_set(&self) -> bool {
        matches!(self, Self::Set { .. })
    }
}

/// The transaction whose estimate keeps a read from being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocked(pub(super) Position);

/// What the changes below a reader make of an account, and the highest of them.
pub(super) fn resolve(
    base: Option<&AccountInfo>,
    changes: &[Written<Change>],
) -> Result<(Option<AccountInfo>, Option<Position>), Blocked> {
    let start = changes.iter().rposition(|entry| entry.value.is_set()).unwrap_or(0);
    let since = &changes[start..];
    if let Some(estimate) = since.iter().rev().find(|entry| entry.estimate) {
        return Err(Blocked(estimate.position));
    }
    let mut info = if since.first().is_some_and(|entry| entry.value.is_set()) { None } else { base.cloned() };
    for entry in since {
        let _ = entry.value.apply(&mut info);
    }
    Ok((info, since.last().map(|entry| entry.position)))
}

/// The hash of the code that an account has, which no lazy change changes; and who set it.
pub(super) fn resolve_code_hash(
    base: Option<&AccountInfo>,
    changes: &[Written<Change>],
) -> Result<(B256, Option<Position>), Blocked> {
    for entry in changes.iter().rev() {
        if let Change::Set { info, .. } = &entry.value {
            if entry.estimate {
                return Err(Blocked(entry.position));
            }
            return Ok((info.as_ref().map_or(KECCAK_EMPTY, |info| info.code_hash), Some(entry.position)));
        }
    }
    Ok((base.map_or(KECCAK_EMPTY, |info| info.code_hash), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(position: Position, value: Change) -> Written<Change> {
        Written { position, incarnation: 0, estimate: false, value }
    }

    fn debit(nonce: u64, required: u64, amount: u64) -> Change {
        Change::Debit { nonce, required: U256::from(required), amount: U256::from(amount) }
    }

    #[test]
    fn credits_and_debits_sum_up() {
        let base = AccountInfo::default().with_balance(U256::from(100)).with_nonce(7);
        let changes = [written(1, Change::Credit(U256::from(5))), written(4, debit(7, 105, 30))];
        let (info, highest) = resolve(Some(&base), &changes).unwrap();
        assert_eq!(info.map(|info| (info.nonce, info.balance)), Some((8, U256::from(75))));
        assert_eq!(highest, Some(4));
    }

    #[test]
    fn what_was_set_hides_what_was_before_even_an_estimate() {
        let set = Change::Set { info: None, event: Event::Destroyed };
        let mut changes = vec![written(1, Change::Credit(U256::from(5))), written(2, set)];
        changes[0].estimate = true;
        assert_eq!(resolve(Some(&AccountInfo::default()), &changes), Ok((None, Some(2))));
        changes.push(written(3, Change::Credit(U256::from(9))));
        let (info, _) = resolve(None, &changes).unwrap();
        assert_eq!(info.map(|info| info.balance), Some(U256::from(9)));
        changes[2].estimate = true;
        assert_eq!(resolve(None, &changes), Err(Blocked(3)));
        assert_eq!(resolve_code_hash(None, &changes), Ok((KECCAK_EMPTY, Some(2))));
    }

    #[test]
    fn nothing_credited_to_nobody_makes_no_account() {
        let mut info = None;
        assert_eq!(Change::Credit(U256::ZERO).apply(&mut info), Ok(()));
        assert_eq!(info, None);
    }

    #[test]
    fn what_cannot_be_is_told() {
        let account = AccountInfo::default().with_balance(U256::from(10)).with_nonce(1);
        for (change, possible) in [
            (debit(1, 10, 10), true),
            (debit(1, 11, 10), false),
            (debit(0, 10, 10), false),
            (debit(2, 10, 10), false),
            (debit(1, 9, 10), false),
            (Change::Credit(U256::MAX), false),
            (Change::Credit(U256::MAX - U256::from(10)), true),
        ] {
            assert_eq!(change.apply(&mut Some(account.clone())).is_ok(), possible, "{change:?}");
        }
        assert_eq!(debit(0, 0, 0).apply(&mut None), Ok(()));
        assert_eq!(debit(0, 1, 1).apply(&mut None), Err(Impossible));
    }
}
