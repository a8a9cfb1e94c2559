use model::STALE_NAN;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn encode(samples: &[Sample]) -> XorChunk {
    let mut chunk = XorChunk::new(samples[0]);
    for &sample in &samples[1..] {
        chunk.push(sample);
    }
    chunk
}

fn decode(bytes: &[u8]) -> Result<Vec<Sample>, BadChunk> {
    let (first, mut rest) = XorSamples::new(bytes)?;
    let mut samples = vec![first];
    while let Some(sample) = rest.next()? {
        samples.push(sample);
    }
    Ok(samples)
}

/// Time steps at the borders of every width of the encoding, and anything else.
fn step() -> impl Strategy<Value = i64> {
    let borders = [13, 14, 16, 17, 19, 20].map(|bits| 1i64 << bits);
    prop_oneof![
        Just(10_000),
        1..20_000i64,
        (prop::sample::select(borders.to_vec()), -2..3i64).prop_map(|(at, off)| at + off),
        1..i64::MAX / 1000,
    ]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(STALE_NAN),
        (0..1000u32).prop_map(f64::from),
        any::<u64>().prop_map(f64::from_bits),
        (0..64u32, 0..64u32).prop_map(|(a, b)| f64::from_bits(1 << a | 1 << b)),
    ]
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    (any::<i32>(), vec((step(), value()), 1..300)).prop_map(|(start, steps)| {
        let mut time = i64::from(start);
        let sample = |(step, value)| {
            time += step;
            Sample { timestamp: Timestamp::from_millis(time), value }
        };
        steps.into_iter().map(sample).collect()
    })
}

proptest! {
    #[test]
    fn a_chunk_holds_what_was_pushed(samples in samples()) {
        let chunk = encode(&samples);
        prop_assert_eq!(chunk.len(), samples.len());
        prop_assert_eq!(decode(&chunk.to_bytes()).unwrap(), samples);
    }

    /// CHUNK-2.
    #[test]
    fn a_copy_of_an_open_chunk_decodes_after_more_was_pushed(samples in samples(), cut in 1..300usize) {
        let cut = cut.min(samples.len());
        let early = encode(&samples[..cut]).to_bytes();
        let late = encode(&samples).to_bytes();
        prop_assert_eq!(&early[2..early.len() - 1], &late[2..early.len() - 1]);
        prop_assert_eq!(decode(&early).unwrap(), &samples[..cut]);
    }

    #[test]
    fn a_copy_of_an_open_chunk_goes_on_as_the_chunk_does(samples in samples(), cut in 1..300usize) {
        let cut = cut.min(samples.len());
        let (start, mut chunk) = XorChunk::resume(&encode(&samples[..cut]).to_bytes()).unwrap();
        prop_assert_eq!((start, chunk.last()), (samples[0].timestamp, samples[cut - 1]));
        samples[cut..].iter().for_each(|&sample| chunk.push(sample));
        prop_assert_eq!(chunk.to_bytes(), encode(&samples).to_bytes());
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
        let _ = decode(&bytes);
        let _ = XorChunk::resume(&bytes);
    }

    #[test]
    fn a_chunk_cut_short_is_refused(samples in samples(), cut in 1..9usize) {
        let chunk = encode(&samples).to_bytes();
        prop_assert_eq!(decode(&chunk[..chunk.len() - cut]), Err(BadChunk));
    }
}

#[test]
fn the_extremes_of_time_fit() {
    let at = |millis, value| Sample { timestamp: Timestamp::from_millis(millis), value };
    let samples =
        [at(i64::MIN, 1.0), at(i64::MIN + 1, f64::NAN), at(0, -0.0), at(i64::MAX, f64::INFINITY)];
    assert_eq!(decode(&encode(&samples).to_bytes()).unwrap(), samples);
}
