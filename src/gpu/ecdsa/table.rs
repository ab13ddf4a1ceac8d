//! The table that all dispatches share: the codes of digits, and multiples of the generator.

use std::sync::{Arc, OnceLock};

use k256::elliptic_curve::BatchNormalize;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{AffinePoint, ProjectivePoint};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::digits;
use crate::gpu::shader::constants::ecdsa::{BASE_AT, BASE_WINDOW_BITS, BASE_WINDOWS, words_of};

/// Words of a point, x and y.
const POINT_WORDS: usize = 16;

/// Points of a window: its odd multiples.
const WINDOW_POINTS: usize = 1 << (BASE_WINDOW_BITS - 1);

/// The table, made once.
pub(super) fn table() -> Arc<[u32]> {
    static TABLE: OnceLock<Arc<[u32]>> = OnceLock::new();
    Arc::clone(TABLE.get_or_init(make))
}

fn make() -> Arc<[u32]> {
    let mut words = digits::classes().to_vec();
    words.resize(BASE_AT as usize * 4, 0);
    let bases: Vec<_> = std::iter::successors(Some(ProjectivePoint::GENERATOR), |base| {
        Some((0..BASE_WINDOW_BITS).fold(*base, |point, _| point.double()))
    })
    .take(BASE_WINDOWS as usize)
    .collect();
    let windows: Vec<Vec<u32>> = bases.into_par_iter().map(|base| odd_multiples(&base)).collect();
    words.reserve(BASE_WINDOWS as usize * WINDOW_POINTS * POINT_WORDS);
    words.extend(windows.iter().flatten());
    words.into()
}

/// 1, 3, 5, … times the base of a window. None is at infinity: the odd factors and the powers of two are below the prime order.
fn odd_multiples(base: &ProjectivePoint) -> Vec<u32> {
    let twice = base.double();
    let multiples: Vec<_> =
        std::iter::successors(Some(*base), |point| Some(point + &twice)).take(WINDOW_POINTS).collect();
    let affine: Vec<AffinePoint> =
        <ProjectivePoint as BatchNormalize<[ProjectivePoint]>>::batch_normalize_vartime(&multiples);
    affine.iter().flat_map(point_words).collect()
}

fn point_words(point: &AffinePoint) -> [u32; POINT_WORDS] {
    let mut words = [0; POINT_WORDS];
    let encoded = point.to_sec1_point(false);
    let numbers = encoded.as_bytes().get(1..).unwrap_or_default().as_chunks::<32>().0;
    for (words, number) in words.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
        *words = words_of(number);
    }
    words
}
