//! Reading a regex and asking it about a thousand pods: what a selector costs beside its series.

#![allow(clippy::unwrap_used, reason = "a bench that fails has nobody to tell")]

use criterion::{Criterion, criterion_group, criterion_main};
use model::{MatchOp, Matcher};

fn matchers(c: &mut Criterion) {
    let pods: Vec<String> =
        (0..1000).map(|n| format!("app-{}-{:08x}", n % 7, n * 0x9e37_79b9_u64 % 0xffff)).collect();
    let few = pods[..20].join("|");
    let cases = [
        ("literals", few.as_str()),
        ("prefix", "app-3.*"),
        ("prefixes", "app-(1|2|3)-.*"),
        ("middle", ".*-3.*f"),
        ("engine", "app-(1|2|3)-[^z]*"),
    ];
    let mut group = c.benchmark_group("matchers");
    for (name, regex) in cases {
        let count = || {
            let matcher = Matcher::new("pod", MatchOp::Regex, regex).unwrap();
            pods.iter().filter(|pod| matcher.matches(pod)).count()
        };
        assert!((1..1000).contains(&count()), "{name} tells pods apart");
        group.bench_function(name, |b| b.iter(count));
    }
    group.finish();
}

criterion_group!(benches, matchers);
criterion_main!(benches);
