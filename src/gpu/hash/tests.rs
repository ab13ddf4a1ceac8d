//! What the host does with messages before and after a device.

use super::*;

/// Runs `check` for every function's program.
macro_rules! for_each_function {
    ($check:ident) => {
        $check::<Sha256>();
        $check::<Sha256d>();
        $check::<Keccak256>();
    };
}

fn message(length: usize) -> Vec<u8> {
    (1..=251).cycle().take(length).collect()
}

#[test]
fn blocks_hold_the_message_and_its_padding() {
    // FIPS 180-4, section 5.1.1: 0x80, zeros, the length in bits; Keccak: the rate ends with the bit 0x80.
    fn check<F: Function>() {
        for length in 0..=300 {
            let message = message(length);
            let mut words = vec![0xdead_beef; F::blocks(length) * F::BLOCK_WORDS];
            F::pad(&message, &mut words);
            let bytes: Vec<u8> = words.iter().flat_map(|word| F::bytes(*word)).collect();
            let mut expected = message.clone();
            if F::FUNCTION == HashFunction::Keccak256 {
                expected.push(0x01);
                expected.resize(length / 136 * 136 + 136, 0);
                *expected.last_mut().unwrap() |= 0x80;
            } else {
                expected.push(0x80);
                while expected.len() % 64 != 56 {
                    expected.push(0);
                }
                expected.extend((8 * length as u64).to_be_bytes());
            }
            assert_eq!(bytes, expected, "{} of {length} bytes", F::NAME);
        }
    }
    for_each_function!(check);
}

#[test]
fn what_is_packed_names_each_lane_once_and_its_blocks() {
    fn check<F: Function>() {
        let program = Messages::<F>::new();
        let lengths = [0, 200, 64, 1, 1_000, 137, 0, 200, 63];
        let messages: Vec<_> = lengths.into_iter().map(message).collect();
        let lanes: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let count = lanes.iter().map(|lane| program.input_words(lane)).sum();
        // Whatever the words were before.
        let [packed, again] = [0, u32::MAX].map(|before| {
            let mut words = vec![before; count];
            program.pack(lanes.len(), &|lane| lanes[lane], &mut words, &Team::ALONE);
            words
        });
        assert_eq!(packed, again);
        let entries = packed[..ENTRY_WORDS * lanes.len()].as_chunks::<ENTRY_WORDS>().0;
        let mut seen: Vec<u32> = entries.iter().map(|[_, _, lane]| *lane).collect();
        assert!(entries.is_sorted_by(|[_, left, _], [_, right, _]| left >= right), "{entries:?}");
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..9));
        let mut end = HEADER_WORDS + ENTRY_WORDS * lanes.len();
        for [begin, blocks, lane] in entries.iter().map(|entry| entry.map(|word| word as usize)) {
            assert_eq!(begin, end);
            assert_eq!(blocks, F::blocks(lanes[lane].len()));
            end = begin + blocks * F::BLOCK_WORDS;
            let mut padded = vec![0; end - begin];
            F::pad(lanes[lane], &mut padded);
            assert_eq!(packed[begin - HEADER_WORDS..end - HEADER_WORDS], padded);
        }
        assert_eq!(end, HEADER_WORDS + count);
    }
    for_each_function!(check);
}

#[test]
fn only_what_is_too_long_is_settled() {
    fn check<F: Function>() {
        let program = Messages::<F>::new();
        let longest = MAX_BLOCKS * 4 * F::BLOCK_WORDS - F::LEAST_PADDING;
        assert_eq!(program.settle(&message(longest).as_slice()), None);
        let longer = message(longest + 1);
        assert_eq!(program.settle(&longer.as_slice()), program.answer_on_cpu(&[longer.as_slice()]).pop());
    }
    for_each_function!(check);
}

#[test]
fn known_answers_are_the_published_ones_too() {
    let answer = |known: Vec<(&[u8], [u8; 32])>, message: &[u8]| {
        let found = known.into_iter().find(|(known, _)| *known == message).expect("it is known");
        found.1.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    // FIPS 180-4 and Keccak of nothing.
    let sha256 = Messages::<Sha256>::new().known_answers();
    let sha256d = Messages::<Sha256d>::new().known_answers();
    let keccak256 = Messages::<Keccak256>::new().known_answers();
    // Six short ones, three around each of six edges, the longest.
    assert!([&sha256, &sha256d, &keccak256].iter().all(|known| known.len() == 25));
    assert_eq!(answer(sha256, &[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(answer(sha256d, &[]), "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456");
    assert_eq!(answer(keccak256, &[]), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
}
