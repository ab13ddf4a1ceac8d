//! The stages keep what they promise: order, bounds, places and reasons, and a clean end.
#![cfg(feature = "executor")]

#[path = "common/test_data.rs"]
#[allow(dead_code, reason = "of it, only how to say that a test is skipped")]
mod test_data;

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_eips::Encodable2718;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, U256};
use phalanx::chain::ethereum::validity::ValidityError;
use phalanx::chain::ethereum::{
    Block, BlockStream, BlockVerdict, ChainSpec, Claim, DecodeError, Rejection, SenderColumn, StreamError, Transaction,
    VerifiedBatch, VerifiedTransaction, verify_block, verify_block_hinted, verify_blocks,
};
use phalanx::cpu::CpuBackend;
use phalanx::executor::{Ledger, SequentialExecutor};
use phalanx::pipeline::{End, Import, ImportError, ImportReport, PreExecutionStage, RawBatch, SubmitError};
use phalanx::scheme::ecdsa::ORDER;
use phalanx::workload::{Workload, WorkloadChain, WorkloadConfig};
use phalanx::{Reason, Verifier};

const BLOCKS: u64 = 9;
const TRANSACTIONS: u64 = 30;

fn config() -> WorkloadConfig {
    WorkloadConfig { seed: 11, blocks: BLOCKS, transactions_per_block: 30, accounts: 40, ..WorkloadConfig::default() }
}

/// The workload's genesis, and its blocks as RLP.
static CHAIN: LazyLock<(Genesis, Vec<Bytes>)> = LazyLock::new(|| {
    let mut chain = WorkloadChain::new(config()).unwrap();
    let verifier = Verifier::cpu();
    let blocks =
        std::iter::from_fn(|| chain.next_block(&verifier)).map(|block| block.unwrap().encode().unwrap().into());
    let blocks: Vec<Bytes> = blocks.collect();
    (chain.genesis().clone(), blocks)
});

/// The workload's transactions, and who sent each.
static SENT: LazyLock<Vec<(Bytes, Address)>> = LazyLock::new(|| {
    let sent = Workload::new(config()).unwrap().flat_map(|block| block.transactions.into_iter().zip(block.senders));
    let sent: Vec<_> = sent.map(|(transaction, sender)| (transaction.encoded_2718().into(), sender)).collect();
    assert_eq!(sent.len() as u64, BLOCKS * TRANSACTIONS);
    sent
});

fn batch(sent: &[(Bytes, Address)]) -> RawBatch {
    let transactions = sent.iter().map(|(transaction, _)| transaction.clone()).collect();
    RawBatch { transactions, block_number: 1, timestamp: 12 }
}

fn stage(threads: usize, queue: usize) -> PreExecutionStage {
    let chain = ChainSpec::from_genesis(&CHAIN.0).unwrap();
    PreExecutionStage::spawn(Arc::new(Verifier::with_threads(threads).unwrap()), chain, queue).unwrap()
}

fn senders(batch: &VerifiedBatch) -> Vec<Address> {
    batch.transactions.iter().map(VerifiedTransaction::sender).collect()
}

fn check(batch: &VerifiedBatch, sent: &[(Bytes, Address)]) {
    assert_eq!(batch.rejected, []);
    assert_eq!(senders(batch), sent.iter().map(|(_, sender)| *sender).collect::<Vec<_>>());
    let envelopes: Vec<_> = batch.transactions.iter().map(|verified| verified.transaction().encoded_2718()).collect();
    assert!(envelopes.iter().zip(sent).all(|(envelope, (bytes, _))| *envelope == *bytes));
}

#[test]
fn batches_come_back_whole_and_in_order() {
    let stage = stage(2, 3);
    let mut rest = &SENT[..];
    let mut handed = Vec::new();
    for length in [0, 1, 2, 17, 64, 65, 100, 21] {
        let (batch_of, after) = rest.split_at(length);
        handed.push((stage.submit(batch(batch_of)).unwrap(), batch_of));
        rest = after;
    }
    assert_eq!((handed.len(), rest.len()), (8, 0));
    // Whoever asks for the last one first gets it.
    for (handle, sent) in handed.into_iter().rev() {
        check(&handle.wait().unwrap().unwrap(), sent);
    }
}

#[test]
fn a_full_queue_gives_the_batch_back() {
    for queue in [0, 1, 3] {
        let stage = stage(1, queue);
        let mut accepted = Vec::new();
        let refused = loop {
            match stage.try_submit(batch(&SENT)) {
                Ok(handle) => accepted.push(handle),
                Err(SubmitError::Busy(batch)) => break batch,
                Err(error) => panic!("{error}"),
            }
            assert!(accepted.len() < 1_000);
        };
        // As many as may wait, and at most the one that is worked on besides those that were done meanwhile.
        assert!(accepted.len() >= queue.max(1), "{} accepted", accepted.len());
        assert_eq!(refused.transactions, batch(&SENT).transactions);
        // Waiting, it is accepted after all.
        accepted.push(stage.submit(refused).unwrap());
        for handle in accepted {
            check(&handle.wait().unwrap().unwrap(), &SENT);
        }
    }
}

#[test]
fn an_end_finishes_what_was_accepted() {
    let ends: [fn(PreExecutionStage); 2] = [PreExecutionStage::shutdown, drop];
    let mut finished = 0;
    for end in ends {
        let stage = stage(2, 8);
        let handles: Vec<_> = SENT.chunks(40).map(|sent| (stage.submit(batch(sent)).unwrap(), sent)).collect();
        end(stage);
        for (handle, sent) in handles {
            // It need not be waited for any more, and comes once.
            check(&handle.try_wait().unwrap().unwrap().unwrap(), sent);
            assert!(handle.try_wait().is_err());
            finished += 1;
        }
    }
    assert_eq!(finished, 2 * 7);
}

#[test]
fn a_dropped_handle_harms_nothing() {
    let stage = stage(2, 2);
    let mut kept = Vec::new();
    for (index, sent) in SENT.chunks(20).enumerate() {
        let handle = stage.submit(batch(sent)).unwrap();
        if index % 3 == 0 {
            kept.push((handle, sent));
        }
    }
    assert_eq!(kept.len(), 5);
    for (handle, sent) in kept {
        check(&handle.wait().unwrap().unwrap(), sent);
    }
}

/// The workload's transactions with others among them, each of which is to be rejected; and why each is.
fn mixed() -> (Vec<Bytes>, Vec<(usize, Rejection)>) {
    let mut transactions: Vec<_> = SENT.iter().map(|(transaction, _)| transaction.clone()).collect();
    let mut rejected = Vec::new();
    let unsigned_part = |change: &dyn Fn(&[u8]) -> Vec<u8>| change(&SENT[3].0);
    let typed = SENT.iter().map(|(bytes, _)| bytes).find(|bytes| bytes[0] == 2).unwrap();
    // The signature of a typed transaction ends it: 0xa0, r, 0xa0, s.
    let with_s = |s: U256| {
        let start = typed.len() - 32;
        assert_eq!(typed[start - 1], 0xa0);
        Bytes::from([&typed[..start], &s.to_be_bytes::<32>()[..]].concat())
    };
    let low_s = U256::from_be_slice(&typed[typed.len() - 32..]);
    let order = U256::from_be_bytes(ORDER);
    let mainnet = Workload::new(WorkloadConfig { blocks: 1, ..config() }).unwrap().next().unwrap();
    let foreign = mainnet.transactions.iter().find_map(|transaction| match transaction {
        phalanx::chain::ethereum::Transaction::Eip1559(signed) => {
            let mut unsigned = signed.tx().clone();
            unsigned.chain_id = 1;
            let signature = *signed.signature();
            Some(alloy_consensus::SignableTransaction::into_signed(unsigned, signature).encoded_2718())
        }
        _ => None,
    });
    let rlp = |bytes: &[u8]| match phalanx::chain::ethereum::decode_transaction(bytes) {
        Err(error @ DecodeError::Rlp(_)) => Rejection::Decode(error),
        other => panic!("{other:?}"),
    };
    let cut = unsigned_part(&|bytes| bytes[..bytes.len() - 1].to_vec());
    let bad: Vec<(Bytes, Rejection)> = vec![
        (Bytes::new(), rlp(&[])),
        (Bytes::from(vec![0x7f, 1, 2]), Rejection::Decode(DecodeError::UnknownType(0x7f))),
        (Bytes::from(vec![0x00]), Rejection::Decode(DecodeError::UnknownType(0))),
        (Bytes::from(cut.clone()), rlp(&cut)),
        (Bytes::from([&typed[..], &[1, 2, 3]].concat()), Rejection::Decode(DecodeError::Trailing(3))),
        (with_s(order - low_s), Rejection::Signature(Reason::HighS)),
        (with_s(order), Rejection::Signature(Reason::SOutOfRange)),
        (with_s(U256::MAX), Rejection::Signature(Reason::SOutOfRange)),
        (foreign.unwrap().into(), Rejection::Validity(ValidityError::ChainId { signed: 1, chain: 1337 })),
    ];
    // At the ends, side by side, and alone.
    for ((bytes, rejection), at) in bad.into_iter().zip([0, 1, 2, 30, 31, 99, 200, 277, 278]) {
        transactions.insert(at, bytes);
        rejected.push((at, rejection));
    }
    assert_eq!((transactions.len(), rejected.len()), (279, 9));
    (transactions, rejected)
}

#[test]
fn any_split_on_any_threads_gives_the_same_places_and_reasons() {
    let (transactions, rejected) = mixed();
    let expected: Vec<_> = SENT.iter().map(|(_, sender)| *sender).collect();
    let mut compared = 0;
    for threads in [1, 4] {
        for length in [1, 7, 64, 278, 279] {
            let stage = stage(threads, 4);
            let (mut found_senders, mut found_rejected) = (Vec::new(), Vec::new());
            for (part, transactions) in transactions.chunks(length).enumerate() {
                let batch = RawBatch { transactions: transactions.to_vec(), block_number: 1, timestamp: 12 };
                let verified = stage.submit(batch).unwrap().wait().unwrap().unwrap();
                assert_eq!(verified.transactions.len() + verified.rejected.len(), transactions.len());
                found_senders.extend(senders(&verified));
                found_rejected.extend(verified.rejected.into_iter().map(|(at, why)| (part * length + at, why)));
            }
            assert_eq!(found_senders, expected, "{threads} threads, batches of {length}");
            assert_eq!(found_rejected, rejected, "{threads} threads, batches of {length}");
            compared += 1;
        }
    }
    assert_eq!(compared, 10);
}

/// Imports blocks and returns the report and the numbers of the blocks that were reported, `stop` being set after one.
fn import(
    ledger: &mut Ledger,
    queue: usize,
    stop_after: Option<u64>,
    source: impl Iterator<Item = Result<Bytes, StreamError>> + Send,
) -> (ImportReport, Vec<u64>) {
    let verifier = Verifier::with_threads(2).unwrap();
    let stop = AtomicBool::new(stop_after == Some(0));
    let import = Import { verifier: &verifier, executor: &SequentialExecutor, senders: None, queue, stop: &stop };
    let mut seen = Vec::new();
    let report = import.run(source, ledger, &mut |block| {
        assert_eq!(block.transactions as u64, TRANSACTIONS);
        seen.push(block.id.number);
        if stop_after == Some(block.id.number) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert_eq!(report.blocks, seen.len() as u64);
    assert_eq!(report.transactions, report.blocks * TRANSACTIONS);
    let executed = report.stages.iter().filter(|stage| ["execute", "commit"].contains(&stage.name));
    assert!(executed.clone().count() == 2 && executed.clone().all(|stage| stage.items == report.transactions));
    (report, seen)
}

fn ledger() -> Ledger {
    Ledger::from_genesis(&CHAIN.0).unwrap()
}

fn good() -> impl Iterator<Item = Result<Bytes, StreamError>> + Send {
    CHAIN.1.iter().cloned().map(Ok)
}

fn numbers(to: u64) -> Vec<u64> {
    (1..=to).collect()
}

/// The ledger takes the blocks from its head on, to the end.
fn goes_on(mut ledger: Ledger) {
    let done = ledger.head().number;
    let (report, seen) = import(&mut ledger, 2, None, good().skip(usize::try_from(done).unwrap()));
    assert!(matches!(report.end, Ok(End::Complete)), "{:?}", report.end);
    assert_eq!((seen.len() as u64, ledger.head().number), (BLOCKS - done, BLOCKS));
}

#[test]
fn an_import_stops_between_two_blocks() {
    let mut stopped = 0;
    for queue in [0, 1, 2, 8] {
        for after in 0..=BLOCKS {
            let mut ledger = ledger();
            let (report, seen) = import(&mut ledger, queue, Some(after), good());
            assert!(matches!(report.end, Ok(End::Stopped)), "{:?}", report.end);
            assert_eq!((seen, ledger.head().number), (numbers(after), after));
            goes_on(ledger);
            stopped += 1;
        }
    }
    assert_eq!(stopped, 40);
}

#[test]
fn an_import_ends_before_the_block_that_is_wrong() {
    let at = 4_usize;
    let block = Block::decode(&CHAIN.1[at]).unwrap();
    let with_header = |change: &dyn Fn(&mut alloy_consensus::Header)| {
        let mut block = block.clone();
        change(&mut block.header);
        Bytes::from(block.encode().unwrap())
    };
    let bad_signature = {
        let mut bytes = CHAIN.1[at].to_vec();
        let s = block.transactions[2].signature().s().to_be_bytes::<32>();
        let place = bytes.windows(32).position(|window| window == s).unwrap();
        bytes[place] ^= 0x80;
        Bytes::from(bytes)
    };
    let cut = CHAIN.1[at].slice(..CHAIN.1[at].len() - 1);
    let wrong: [(&str, Bytes); 6] = [
        ("block 4 of the stream: ", cut),
        ("block 5: transactionsRoot: ", bad_signature),
        ("block 5: gasUsed: ", with_header(&|header| header.gas_used -= 1)),
        ("block 5: stateRoot: ", with_header(&|header| header.state_root = B256::ZERO)),
        ("block 5: timestamp: ", with_header(&|header| header.timestamp = 12)),
        // The block before once more.
        ("block 4: number: 4, ", CHAIN.1[at - 1].clone()),
    ];
    let mut ended = 0;
    for (problem, block) in wrong {
        for queue in [1, 2, 8] {
            let mut ledger = ledger();
            let mut blocks = CHAIN.1.clone();
            blocks[at] = block.clone();
            let (report, seen) = import(&mut ledger, queue, None, blocks.into_iter().map(Ok));
            let error = report.end.unwrap_err();
            assert!(error.to_string().starts_with(problem), "{error}");
            assert_eq!(error.is_invalid_block(), !matches!(error, ImportError::Decode { .. }));
            assert_eq!((seen, ledger.head().number), (numbers(4), 4));
            goes_on(ledger);
            ended += 1;
        }
    }
    // The source itself breaks off.
    let bytes = CHAIN.1.concat();
    for queue in [1, 2, 8] {
        let mut ledger = ledger();
        let (report, seen) = import(&mut ledger, queue, None, BlockStream::new(&bytes[..bytes.len() - 1]));
        let error = report.end.unwrap_err();
        assert!(matches!(error, ImportError::Source(StreamError::Truncated { index: 8, .. })), "{error}");
        assert_eq!(seen, numbers(8));
        goes_on(ledger);
        ended += 1;
    }
    assert_eq!(ended, 21);
}

/// Blocks that are valid, and blocks with a problem of each kind, with the senders that are named beside some of them.
fn blocks_of_all_kinds() -> (Vec<Block>, SenderColumn) {
    let mut blocks: Vec<_> = CHAIN.1.iter().map(|bytes| Block::decode(bytes).unwrap()).collect();
    let mut column = SenderColumn::default();
    let senders = |place: usize| SENT.iter().skip(place * 30).take(30).map(|(_, sender)| Some(*sender)).collect();
    for place in [2, 3, 7] {
        column.insert(blocks[place].header.number, senders(place));
    }
    // Of another block.
    column.insert(blocks[8].header.number, senders(0));
    blocks[1].header.gas_used = blocks[1].header.gas_limit + 1;
    blocks[3].envelopes.swap(0, 1);
    blocks[4].envelopes.clear();
    blocks[4].transactions.clear();
    let strange = Transaction::Legacy(alloy_consensus::Signed::new_unhashed(
        alloy_consensus::TxLegacy::default(),
        alloy_primitives::Signature::new(U256::from(1), U256::from(7), false),
    ));
    blocks[5].transactions.push(strange);
    blocks[6].claims.push(Claim::Sender { index: 3, sender: Address::ZERO });
    blocks[7].claims.push(Claim::Sender { index: 3, sender: SENT[7 * 30 + 3].1 });
    (blocks, column)
}

#[test]
fn blocks_verified_together_come_to_what_each_does_alone() {
    let (blocks, column) = blocks_of_all_kinds();
    let chain = ChainSpec::from_genesis(&CHAIN.0).unwrap();
    let told = |verdict: BlockVerdict| {
        verdict.map(|block| {
            let senders: Vec<_> = block.transactions().iter().map(VerifiedTransaction::sender).collect();
            (block.id(), senders, block.ommers().clone(), block.withdrawals().map(<[_]>::to_vec))
        })
    };
    let verifier = |threads| -> Verifier {
        // The blocks are short; what is hinted is put to the batch check all the same.
        CpuBackend::with_threads(threads).unwrap().with_batch_check_threshold(1).into()
    };
    let (verifier, another) = (verifier(2), verifier(1));
    let alone: Vec<_> = blocks
        .iter()
        .map(|block| match column.hints(block.header.number) {
            Some(hints) => verify_block_hinted(&verifier, &chain, block.clone(), hints),
            None => verify_block(&verifier, &chain, block.clone()),
        })
        .map(|verdict| told(verdict.unwrap()))
        .collect();
    assert_eq!(
        alone.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, true, false, false, false, false, true, true]
    );
    // Any cut of them, none and all among them; by keys that are known by now, and by none.
    for verifier in [&verifier, &another] {
        for length in [1, 2, 4, 9] {
            let cuts = blocks.chunks(length).flat_map(|blocks| {
                let hinted = |block: &Block| (block.clone(), column.hints(block.header.number));
                verify_blocks(verifier, &chain, blocks.iter().map(hinted).collect()).unwrap()
            });
            assert_eq!(cuts.map(told).collect::<Vec<_>>(), alone, "{length}");
        }
        assert!(verify_blocks(verifier, &chain, Vec::new()).unwrap().is_empty());
    }
}

#[cfg(feature = "gpu")]
#[test]
fn a_gpu_verifies_what_waits_together_and_in_order() {
    let Some(adapter) = phalanx::gpu::adapters().into_iter().find(phalanx::gpu::Adapter::is_software) else {
        test_data::skipped("there is no adapter in software");
        return;
    };
    let backend = phalanx::BackendChoice::Name(adapter.name().to_owned());
    let verifier = Verifier::new(&phalanx::VerifierConfig { backend, ..Default::default() }).unwrap();
    assert!(verifier.gains_by_large_batches());
    let mut invalid = CHAIN.1.clone();
    let mut block = Block::decode(&invalid[6]).unwrap();
    block.header.gas_used = block.header.gas_limit + 1;
    invalid[6] = block.encode().unwrap().into();
    for (blocks, imported) in [(&CHAIN.1, BLOCKS), (&invalid, 6)] {
        let mut ledger = ledger();
        let stop = AtomicBool::new(false);
        let import =
            Import { verifier: &verifier, executor: &SequentialExecutor, senders: None, queue: 4, stop: &stop };
        let mut seen = Vec::new();
        let report = import.run(blocks.iter().cloned().map(Ok), &mut ledger, &mut |block| seen.push(block.id.number));
        assert_eq!(seen, (1..=imported).collect::<Vec<_>>());
        assert_eq!(report.end.is_ok(), imported == BLOCKS, "{:?}", report.end);
    }
}
