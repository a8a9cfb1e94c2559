use std::cell::Cell;

use super::*;

/// Knows the same labels and metadata of every series.
#[derive(Default)]
struct Log {
    labels: Option<Labels>,
    help: &'static str,
    asked: Cell<[usize; 2]>,
}

impl Log {
    fn of(pairs: &[(&str, &str)]) -> Self {
        Self { labels: Some(labels(pairs)), ..Self::default() }
    }

    fn count(&self, index: usize) {
        let mut asked = self.asked.get();
        asked[index] += 1;
        self.asked.set(asked);
    }
}

impl Lookup for Log {
    fn labels(&self, _: LogSeries) -> Option<Labels> {
        self.count(0);
        self.labels.clone()
    }

    fn metadata(&self, _: LogSeries) -> Option<Metadata> {
        self.count(1);
        Some(Metadata { help: self.help.into(), ..Metadata::default() })
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn cache(protocol: Protocol, external: &[(&str, &str)], steps: &str) -> SeriesCache {
    let steps = serde_yaml_ng::from_str(steps).unwrap();
    SeriesCache::new(labels(external), steps, protocol, Symbols::default())
}

fn forwarded(cache: &mut SeriesCache, series: u64, log: &Log) -> Arc<Forwarded> {
    match cache.get(LogSeries(series), log) {
        Fate::Forward(forwarded) => Arc::clone(forwarded),
        other => panic!("not forwarded: {other:?}"),
    }
}

fn texts(series: &Forwarded, symbols: &Symbols) -> Vec<String> {
    let table = symbols.read();
    series.labels.symbols().iter().map(|&symbol| table.text(symbol).to_owned()).collect()
}

#[test]
fn external_labels_are_added_before_relabelling() {
    #[track_caller]
    fn check(steps: &str, series: &[(&str, &str)], expect: Option<&[(&str, &str)]>) {
        for protocol in [Protocol::V1, Protocol::V2] {
            let mut cache = cache(protocol, &[("region", "eu"), ("replica", "a")], steps);
            let symbols = Arc::clone(&cache.symbols);
            let found = match cache.get(LogSeries(1), &Log::of(series)) {
                Fate::Forward(series) => Some(Arc::clone(series)),
                Fate::Dropped => None,
                Fate::Unknown => panic!("labels were given"),
            };
            let expect = expect.map(|pairs| Forwarded::new(&labels(pairs), protocol, &symbols));
            let parts = |series: &Forwarded| format!("{:?} {}", series.labels, series.hash);
            assert_eq!(found.as_deref().map(parts), expect.as_ref().map(parts));
        }
    }
    let up = [("__name__", "up"), ("job", "x")];
    check("[]", &up, Some(&[("__name__", "up"), ("job", "x"), ("region", "eu"), ("replica", "a")]));
    check(
        "[]",
        &[("__name__", "up"), ("region", "us")],
        Some(&[("__name__", "up"), ("region", "us"), ("replica", "a")]),
    );
    check(
        "[{action: labeldrop, regex: replica}]",
        &up,
        Some(&[("__name__", "up"), ("job", "x"), ("region", "eu")]),
    );
    check("[{action: drop, source_labels: [region], regex: eu}]", &up, None);
    check("[{action: labeldrop, regex: __name__}]", &up, None);
}

#[test]
fn labels_are_asked_for_once_and_again_after_idling() {
    let (mut cache, log) = (cache(Protocol::V1, &[], "[]"), Log::of(&[("__name__", "up")]));
    let asked = |cache: &mut SeriesCache| {
        forwarded(cache, 7, &log);
        log.asked.get()[0]
    };
    assert_eq!((asked(&mut cache), asked(&mut cache)), (1, 1));
    cache.forget_idle();
    assert_eq!(asked(&mut cache), 1);
    cache.forget_idle();
    cache.forget_idle();
    assert_eq!(asked(&mut cache), 2);
}

#[test]
fn a_series_without_known_labels_is_asked_for_again() {
    let mut cache = cache(Protocol::V1, &[], "[]");
    assert!(matches!(cache.get(LogSeries(1), &Log::default()), Fate::Unknown));
    forwarded(&mut cache, 1, &Log::of(&[("__name__", "up")]));
}

#[test]
fn only_forwarded_families_are_described() {
    let steps = "[{action: keep, source_labels: [__name__], regex: 'http.*'}]";
    let mut cache = cache(Protocol::V1, &[], steps);
    for (series, name) in [(1, "http_seconds_bucket"), (2, "http_up"), (3, "secret")] {
        cache.get(LogSeries(series), &Log::of(&[("__name__", name)]));
    }
    assert!(cache.has_family("http_seconds") && cache.has_family("http_up"));
    assert!(!cache.has_family("secret") && !cache.has_family("http"));
}

/// FORWARD-2.
#[test]
fn a_metric_is_described_once_and_once_more_in_each_round() {
    let mut cache = cache(Protocol::V2, &[], "[]");
    let log = Log { help: "Help.", ..Log::of(&[("__name__", "up")]) };
    let said = |cache: &mut SeriesCache| {
        let described = [1, 2].map(|series| forwarded(cache, series, &log).metric.take_due());
        described.map(|described| described.map(|d| cache.symbols.read().text(d.help).to_owned()))
    };
    assert_eq!((said(&mut cache), log.asked.get()[1]), ([None, None], 0));
    for round in 1..3 {
        cache.describe_anew();
        assert_eq!(said(&mut cache), [Some("Help.".to_owned()), None]);
        assert_eq!((said(&mut cache), log.asked.get()[1]), ([None, None], round));
    }
}

#[test]
fn texts_stay_as_long_as_a_series_on_its_way_has_them() {
    let mut cache = cache(Protocol::V2, &[], "[]");
    let symbols = Arc::clone(&cache.symbols);
    let pod = |pod: &str| Log::of(&[("__name__", "up"), ("pod", pod)]);
    let on_its_way = forwarded(&mut cache, 1, &pod("a"));
    forwarded(&mut cache, 2, &pod("b"));
    for _ in 0..3 {
        cache.forget_idle();
    }
    let new = forwarded(&mut cache, 3, &pod("c"));
    assert_eq!(texts(&on_its_way, &symbols), ["__name__", "up", "pod", "a"]);
    assert_eq!(texts(&new, &symbols), ["__name__", "up", "pod", "c"]);
    assert_eq!(symbols.read().len(), 5, "c has the place of b");
    cache.speak(Protocol::V1);
    assert_eq!(texts(&on_its_way, &symbols), ["__name__", "up", "pod", "a"]);
    assert!(matches!(forwarded(&mut cache, 3, &pod("c")).labels, SentLabels::Fields(_)));
}
