//! What a block's size is spent on, as `promtool tsdb analyze` prints it.

use std::io::Write;
use std::path::Path;

use tsdb::inspect::analysis::Analysis;
use tsdb::ranking::Ranked;

use super::go_format::GoDuration;

pub(super) fn run(
    dir: &Path,
    block: Option<&str>,
    limit: usize,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let analysis = Analysis::of_block(dir, block, limit)?;
    writeln!(out, "Block ID: {}", analysis.block)?;
    writeln!(out, "Duration: {}", GoDuration(analysis.duration))?;
    writeln!(out, "Series: {}", analysis.series)?;
    writeln!(out, "Label names: {}", analysis.label_names)?;
    writeln!(out, "Postings (unique label pairs): {}", analysis.label_pairs)?;
    writeln!(out, "Postings entries (total label pairs): {}", analysis.label_pair_uses)?;
    let rankings: [(&str, &[Ranked]); 6] = [
        ("Label pairs most involved in churning", &analysis.churning_pairs),
        ("Label names most involved in churning", &analysis.churning_names),
        ("Most common label pairs", &analysis.common_pairs),
        ("Label names with highest cumulative label value length", &analysis.longest_names),
        ("Highest cardinality labels", &analysis.widest_names),
        ("Highest cardinality metric names", &analysis.metrics),
    ];
    for (title, ranking) in rankings {
        writeln!(out, "\n{title}:")?;
        for (name, figure) in ranking {
            writeln!(out, "{figure} {name}")?;
        }
    }
    Ok(())
}
