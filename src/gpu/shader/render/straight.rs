//! Straight-line WGSL that knows its bounds: every value carries the most it can be, so that a body which could overflow is
//! refused when it is rendered.

use std::fmt::Write as _;

/// An unsigned integer's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    U32,
    U64,
}

impl Width {
    const fn bits(self) -> u32 {
        match self {
            Self::U32 => 32,
            Self::U64 => 64,
        }
    }

    pub(super) const fn most(self) -> u128 {
        (1 << self.bits()) - 1
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::U32 => "u",
            Self::U64 => "lu",
        }
    }
}

/// How tightly an expression binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    /// Shifts and masks, which WGSL wants in parentheses everywhere.
    Bitwise,
    Sum,
    Product,
    Atom,
}

/// An expression, with the most that it can be.
#[derive(Clone, Debug)]
pub(super) struct Value {
    text: String,
    binding: Binding,
    width: Width,
    /// `None` once it may not fit its width.
    most: Option<u128>,
}

impl Value {
    /// A `u32` that is there already: a parameter's limb.
    pub(super) fn given(text: impl Into<String>, most: u128) -> Self {
        Self::new(text.into(), Binding::Atom, Width::U32, Some(most))
    }

    /// A `u32` of any value, by an expression on bits, where losing high ones is meant.
    pub(super) fn bits(text: String) -> Self {
        Self::new(text, Binding::Bitwise, Width::U32, Some(Width::U32.most()))
    }

    pub(super) fn literal(value: u128, width: Width) -> Self {
        Self::new(format!("{value}{}", width.suffix()), Binding::Atom, width, Some(value))
    }

    fn new(text: String, binding: Binding, width: Width, most: Option<u128>) -> Self {
        Self { text, binding, width, most: most.filter(|most| *most <= width.most()) }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let text = format!("{} + {}", self.within(Binding::Sum), other.within(Binding::Sum));
        self.joined(other, text, Binding::Sum, u128::checked_add)
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        if other.most == Some(1) && other.binding == Binding::Atom {
            return self.clone();
        }
        let text = format!("{} * {}", self.within(Binding::Product), other.within(Binding::Atom));
        self.joined(other, text, Binding::Product, u128::checked_mul)
    }

    /// The same by a constant.
    pub(super) fn times_number(&self, factor: u128) -> Self {
        self.times(&Self::literal(factor, self.width))
    }

    /// `number` less this, which must not be more.
    pub(super) fn subtracted_from(&self, number: u128) -> Self {
        let text = format!("{number}{} - {}", self.width.suffix(), self.within(Binding::Product));
        let never_below_zero = self.most.is_some_and(|most| most <= number);
        Self::new(text, Binding::Sum, self.width, never_below_zero.then_some(number))
    }

    /// Its low bits as a `u32`.
    pub(super) fn low(&self, bits: u32) -> Self {
        if self.most.is_some_and(|most| most >> bits == 0) {
            return self.narrowed();
        }
        let whole = match self.width {
            Width::U32 => self.clone(),
            Width::U64 => Self::new(format!("u32({})", self.text), Binding::Atom, Width::U32, Some(Width::U32.most())),
        };
        let most = (1 << bits) - 1;
        let text = format!("{} & {most:#x}u", whole.within(Binding::Atom));
        Self::new(text, Binding::Bitwise, Width::U32, self.most.map(|_| most))
    }

    /// The same bits where a mask keeps them, another constant's where it does not: `self & constant`.
    pub(super) fn masked(&self, constant: u128) -> Self {
        let text = format!("{} & {constant:#x}{}", self.within(Binding::Atom), self.width.suffix());
        Self::new(text, Binding::Bitwise, self.width, self.most.map(|_| constant))
    }

    /// The same value, with a mask that tells compilers how short it is.
    pub(super) fn known_short(&self, bits: u32) -> Self {
        let short = self.most.filter(|most| most >> bits == 0);
        let text = format!("{} & {:#x}{}", self.within(Binding::Atom), (1_u128 << bits) - 1, self.width.suffix());
        Self::new(text, Binding::Bitwise, self.width, short)
    }

    pub(super) fn shifted_right(&self, bits: u32) -> Self {
        let text = format!("{} >> {bits}u", self.within(Binding::Atom));
        Self::new(text, Binding::Bitwise, self.width, self.most.map(|most| most >> bits))
    }

    pub(super) fn shifted_left(&self, bits: u32) -> Self {
        if bits == 0 {
            return self.clone();
        }
        let text = format!("{} << {bits}u", self.within(Binding::Atom));
        Self::new(text, Binding::Bitwise, self.width, self.most.and_then(|most| most.checked_mul(1 << bits)))
    }

    /// As a value of `width`, which it must fit.
    pub(super) fn to(&self, width: Width) -> Self {
        if self.width == width {
            return self.clone();
        }
        let name = match width {
            Width::U32 => "u32",
            Width::U64 => "u64",
        };
        Self::new(format!("{name}({})", self.text), Binding::Atom, width, self.most)
    }

    fn narrowed(&self) -> Self {
        self.to(Width::U32)
    }

    /// The most it can be; `None` if it may not fit.
    pub(super) fn most(&self) -> Option<u128> {
        self.most
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn within(&self, outer: Binding) -> String {
        if self.binding >= outer { self.text.clone() } else { format!("({})", self.text) }
    }

    fn joined(&self, other: &Self, text: String, binding: Binding, most: fn(u128, u128) -> Option<u128>) -> Self {
        let same_width = self.width == other.width;
        let most = self.most.zip(other.most).filter(|_| same_width).and_then(|(a, b)| most(a, b));
        Self::new(text, binding, self.width, most)
    }
}

/// The sum of all; zero if there are none.
pub(super) fn sum(width: Width, terms: impl IntoIterator<Item = Value>) -> Value {
    let total = terms.into_iter().reduce(|total, term| total.plus(&term));
    total.unwrap_or_else(|| Value::literal(0, width))
}

/// A function's body on its way.
#[derive(Debug, Default)]
pub(super) struct Body {
    text: String,
    /// The first value that may not fit.
    overflow: Option<String>,
    /// The most that any value can be.
    most: u128,
}

impl Body {
    /// Names a value.
    pub(super) fn bind(&mut self, name: &str, value: &Value) -> Value {
        let _ = writeln!(self.text, "    let {name} = {};", value.text);
        self.note(name, value.most);
        Value::new(name.to_owned(), Binding::Atom, value.width, value.most)
    }

    /// A line that computes no number.
    pub(super) fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "    {line}");
    }

    /// Checks that a value is at most `bound`.
    pub(super) fn require(&mut self, name: &str, value: &Value, bound: u128) {
        self.note(name, value.most.filter(|most| *most <= bound));
    }

    fn note(&mut self, name: &str, most: Option<u128>) {
        match most {
            Some(most) => self.most = self.most.max(most),
            None => {
                self.overflow.get_or_insert_with(|| name.to_owned());
            }
        }
    }

    /// The body's lines, and the bits of its largest value; an error names the first value that may not fit.
    pub(super) fn finish(self) -> Result<(String, u32), String> {
        match self.overflow {
            None => Ok((self.text, u128::BITS - self.most.leading_zeros())),
            Some(name) => Err(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overflow(make: impl FnOnce(&Value) -> Value) -> Option<String> {
        let mut body = Body::default();
        let value = make(&Value::given("a", 0xffff));
        body.bind("x", &value);
        body.finish().err()
    }

    #[test]
    fn what_may_not_fit_is_told() {
        let named = Some("x".to_owned());
        assert_eq!(overflow(|a| a.times(a)), None);
        assert_eq!(overflow(|a| a.times(a).plus(&a.shifted_left(1))), None);
        assert_eq!(overflow(|a| a.times(a).plus(&a.shifted_left(1)).plus(&Value::literal(1, Width::U32))), named);
        assert_eq!(overflow(|a| a.shifted_left(17)), named);
        assert_eq!(overflow(|a| a.subtracted_from(0xffff)), None);
        assert_eq!(overflow(|a| a.subtracted_from(0xfffe)), named);
        assert_eq!(overflow(|a| a.known_short(16)), None);
        assert_eq!(overflow(|a| a.known_short(15)), named);
        // Once lost, a mask does not bring it back.
        assert_eq!(overflow(|a| a.times(a).times(a).low(8)), named);
        // Widths do not mix.
        assert_eq!(overflow(|a| a.plus(&a.to(Width::U64))), named);
    }

    #[test]
    fn expressions_read_as_they_are_meant() {
        let (a, b) = (Value::given("a", 3), Value::given("b", 5));
        assert_eq!(a.plus(&b).times(&a.plus(&b)).text, "(a + b) * (a + b)");
        assert_eq!(a.times(&b).plus(&a.shifted_right(1)).text, "a * b + (a >> 1u)");
        assert_eq!(a.plus(&b).subtracted_from(8).text, "8u - (a + b)");
        assert_eq!(a.plus(&b).low(2).text, "(a + b) & 0x3u");
        assert_eq!(a.low(2).text, "a");
    }
}
