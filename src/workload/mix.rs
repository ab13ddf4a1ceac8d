//! How much of a workload does what.

use std::fmt;
use std::str::FromStr;

/// Shares, in percent, of plain transfers, ERC-20 transfers and swaps. They sum to 100.
///
/// Written and parsed as `60/25/15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mix {
    transfers: u8,
    token_transfers: u8,
    swaps: u8,
}

/// Why shares make no mix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MixError {
    /// The text is not three whole numbers of percent.
    #[error("a mix is three whole percentages such as 60/25/15 (transfers/token transfers/swaps), not `{0}`")]
    Form(String),
    /// The shares do not sum to 100.
    #[error("the shares of a mix sum to 100, not to {0}")]
    Sum(u16),
}

impl Mix {
    /// A mix of three shares that sum to 100.
    pub fn new(transfers: u8, token_transfers: u8, swaps: u8) -> Result<Self, MixError> {
        match [transfers, token_transfers, swaps].map(u16::from).iter().sum() {
            100 => Ok(Self { transfers, token_transfers, swaps }),
            sum => Err(MixError::Sum(sum)),
        }
    }

    /// The share of plain transfers of ether, in percent.
    #[must_use]
    pub const fn transfers(self) -> u8 {
        self.transfers
    }

    /// The share of ERC-20 transfers, in percent.
    #[must_use]
    pub const fn token_transfers(self) -> u8 {
        self.token_transfers
    }

    /// The share of swaps, in percent.
    #[must_use]
    pub const fn swaps(self) -> u8 {
        self.swaps
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self { transfers: 60, token_transfers: 25, swaps: 15 }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.transfers, self.token_transfers, self.swaps)
    }
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let shares: Result<Vec<u8>, _> = text.split('/').map(|share| share.trim().parse()).collect();
        match shares.as_deref() {
            Ok(&[transfers, token_transfers, swaps]) => Self::new(transfers, token_transfers, swaps),
            _ => Err(MixError::Form(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_three_shares_that_sum_to_100() {
        assert_eq!("60/25/15".parse(), Ok(Mix::default()));
        assert_eq!("0/ 0/100".parse::<Mix>().unwrap().to_string(), "0/0/100");
        for sum in [("60/25/14", 99), ("255/255/255", 765), ("0/0/0", 0)] {
            assert_eq!(sum.0.parse::<Mix>(), Err(MixError::Sum(sum.1)));
        }
        for form in ["", "100", "50/50", "25/25/25/25", "60/25/-15", "256/0/0", "a/b/c"] {
            assert_eq!(form.parse::<Mix>(), Err(MixError::Form(form.to_owned())));
        }
    }
}
