//! Operations of secp256k1's field in each form of the lanes, one thread, many elements at a time, loads and stores included.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phalanx::arithmetic::Platform;
use phalanx::arithmetic::field::{FieldOperation, Limbs};

const ELEMENTS: usize = 4_096;

/// What is counted as one operation's time: `Add` is next to nothing, so that it tells what loads and stores are of the others.
const OPERATIONS: [(FieldOperation, &str); 5] = [
    (FieldOperation::Add, "add"),
    (FieldOperation::Multiply, "multiply"),
    (FieldOperation::Square, "square"),
    (FieldOperation::SquareRoot, "square root"),
    (FieldOperation::Invert, "invert, one inversion for all"),
];

fn elements(kind: u8) -> Vec<Limbs> {
    let element = |index: usize| {
        let digest = phalanx::cpu::sha256(&[&[kind][..], &index.to_le_bytes()].concat());
        let (words, _) = digest.as_chunks::<8>();
        std::array::from_fn(|word| u64::from_le_bytes(words[word]))
    };
    (0..ELEMENTS).map(element).collect()
}

fn field(criterion: &mut Criterion) {
    let (a, b) = (elements(0), elements(1));
    for (operation, name) in OPERATIONS {
        let mut group = criterion.benchmark_group(format!("field {name}"));
        group.throughput(Throughput::Elements(ELEMENTS as u64));
        for platform in Platform::available() {
            let form = format!("{}/1 thread", platform.name());
            group.bench_function(form, |bencher| bencher.iter(|| platform.field(operation, &a, &b)));
        }
        group.finish();
    }
}

criterion_group!(benches, field);
criterion_main!(benches);
