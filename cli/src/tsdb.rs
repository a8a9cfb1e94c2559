//! `watershed tsdb`: looks into data directories, ours or a Prometheus', with or without a server on
//! them. What `promtool tsdb` prints too, this prints in the same form.

mod analyze;
mod dump;
mod go_format;
mod list;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ::tsdb::inspect::verify::verify;
use anyhow::bail;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct TsdbArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the blocks
    List {
        dir: PathBuf,
        /// Print times and sizes for humans
        #[arg(short = 'r', long)]
        human_readable: bool,
    },
    /// Say which labels a block's series have, and which of them come and go
    Analyze {
        dir: PathBuf,
        /// The block; the newest if left out
        block: Option<String>,
        /// How many entries each list may have
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Print all samples, those in the log too
    Dump(dump::DumpArgs),
    /// Check every checksum and every structure, and name what is wrong by file and offset
    Verify { dir: PathBuf },
}

/// Whoever reads the output may stop early.
pub fn run(arguments: &TsdbArgs) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = run_to(&arguments.what, &mut out).and_then(|()| Ok(out.flush()?));
    match done {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        done => done,
    }
}

fn run_to(what: &What, out: &mut impl Write) -> anyhow::Result<()> {
    match what {
        What::List { dir, human_readable } => list::run(dir, *human_readable, out),
        What::Analyze { dir, block, limit } => analyze::run(dir, block.as_deref(), *limit, out),
        What::Dump(arguments) => dump::run(arguments, out),
        What::Verify { dir } => run_verify(dir, out),
    }
}

/// Names each problem, and fails if there is one.
fn run_verify(dir: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let mut printed = Ok(());
    let verified = verify(dir, &mut |problem| {
        if printed.is_ok() {
            printed = writeln!(out, "{problem}");
        }
    })?;
    printed?;
    writeln!(
        out,
        "{} blocks with {} series, {} chunks and {} samples; {} log segments with {} records; \
         {} chunks of the head",
        verified.blocks,
        verified.series,
        verified.chunks,
        verified.samples,
        verified.log_segments,
        verified.log_records,
        verified.head_chunks
    )?;
    out.flush()?;
    match verified.problems {
        0 => Ok(()),
        1 => bail!("1 problem"),
        problems => bail!("{problems} problems"),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_error = error.downcast_ref::<io::Error>();
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
#[path = "tsdb/tests.rs"]
mod tests;
