//! Roots: a block's transactions, Bitcoin's tree, RFC 6962's tree.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phalanx::cpu::sha256d;
use phalanx::merkle::{bitcoin, ethereum, rfc6962};
use phalanx::workload::Mix;

const LEAVES: u64 = 1 << 16;

fn roots(criterion: &mut Criterion) {
    let chain = common::chain(1, Mix::default());
    let envelopes = &chain.blocks[0].envelopes;
    let mut group = criterion.benchmark_group("root");
    group.throughput(Throughput::Elements(envelopes.len() as u64));
    group.bench_function("transactions trie/1000", |bencher| bencher.iter(|| ethereum::ordered_root(envelopes)));
    let leaves: Vec<_> = (0..LEAVES).map(|index| sha256d(&index.to_le_bytes())).collect();
    group.throughput(Throughput::Elements(LEAVES));
    group.bench_function("sha256d/65536", |bencher| bencher.iter(|| bitcoin::root(&leaves)));
    group.bench_function("rfc6962/65536", |bencher| {
        bencher.iter(|| rfc6962::Tree::of_leaf_hashes(leaves.clone()).root());
    });
    group.finish();
}

criterion_group!(benches, roots);
criterion_main!(benches);
