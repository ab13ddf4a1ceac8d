//! Numbers as people read them.

use std::time::Duration;

/// A count with its thousands set apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate per second, rounded to a whole number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive, and far below 2^64")]
pub(crate) fn rate(per_second: f64) -> String {
    count(per_second.round() as u64)
}

/// A duration in seconds with three decimals.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let shown: Vec<_> = [0, 999, 1_000, 12_345, 1_234_567].map(count).into();
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(rate(1_234.5), "1,235");
        assert_eq!(seconds(Duration::from_micros(1_234_567)), "1.235");
    }
}
