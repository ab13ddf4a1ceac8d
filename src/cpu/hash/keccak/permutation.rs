//! The text of Keccak-f[1600] (FIPS 202, 3.2 and 3.3), for whatever vectors its operations work on.

/// The constants of the step iota.
pub(super) const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// All rounds over the array of 25 vectors named `$a`. In the caller's scope are functions `xor`, `xor3` (of three), `chi`
/// (the first, xor the third where the second is not), `splat` (a word in every lane) and a macro `rotate` (left, by a literal).
macro_rules! permute {
    ($a:ident) => {
        for constant in $crate::cpu::hash::keccak::permutation::ROUND_CONSTANTS {
            // theta
            let column = |x: usize| xor3(xor3($a[x], $a[x + 5], $a[x + 10]), $a[x + 15], $a[x + 20]);
            let c = [column(0), column(1), column(2), column(3), column(4)];
            let d = [
                xor(c[4], rotate!(c[1], 1)),
                xor(c[0], rotate!(c[2], 1)),
                xor(c[1], rotate!(c[3], 1)),
                xor(c[2], rotate!(c[4], 1)),
                xor(c[3], rotate!(c[0], 1)),
            ];
            // rho and pi bring the words of a row together, chi joins them.
            macro_rules! word {
                ($from:literal, $by:tt) => {
                    rotate!(xor($a[$from], d[$from % 5]), $by)
                };
            }
            let row = |b: [_; 5]| {
                [
                    chi(b[0], b[1], b[2]),
                    chi(b[1], b[2], b[3]),
                    chi(b[2], b[3], b[4]),
                    chi(b[3], b[4], b[0]),
                    chi(b[4], b[0], b[1]),
                ]
            };
            let mut first = row([xor($a[0], d[0]), word!(6, 44), word!(12, 43), word!(18, 21), word!(24, 14)]);
            let second = row([word!(3, 28), word!(9, 20), word!(10, 3), word!(16, 45), word!(22, 61)]);
            let third = row([word!(1, 1), word!(7, 6), word!(13, 25), word!(19, 8), word!(20, 18)]);
            let fourth = row([word!(4, 27), word!(5, 36), word!(11, 10), word!(17, 15), word!(23, 56)]);
            let fifth = row([word!(2, 62), word!(8, 55), word!(14, 39), word!(15, 41), word!(21, 2)]);
            // iota
            first[0] = xor(first[0], splat(constant));
            for x in 0..5 {
                $a[x] = first[x];
                $a[x + 5] = second[x];
                $a[x + 10] = third[x];
                $a[x + 15] = fourth[x];
                $a[x + 20] = fifth[x];
            }
        }
    };
}

pub(super) use permute;
