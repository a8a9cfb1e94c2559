//! Child processes as typed handles.
//!
//! - PROCESS-1: no child outlives us. [`Process`] kills its child when dropped, so also on a panic;
//!   and `setpriv --pdeathsig` has the kernel kill it when we are killed with −9. The kernel does that
//!   when the *thread* that started the child ends: start children on a thread that lives on.
//! - PROCESS-2: a child is the leader of a process group of its own, so that a Ctrl-C in the terminal
//!   reaches us alone, and we stop children in order.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(20);

/// What to start: everything needed to start it a second time.
#[derive(Clone, Debug)]
pub struct Program {
    /// How people call it, such as `edge cn-hangzhou`; also names its log file.
    pub name: String,
    pub path: PathBuf,
    pub arguments: Vec<String>,
    /// Where its output goes, appended.
    pub log: PathBuf,
    /// The page that answers 200 once it is of use.
    pub ready_url: String,
}

/// A started [`Program`].
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Child,
}

impl Program {
    pub fn start(self) -> anyhow::Result<Process> {
        let child = spawn(&self).with_context(|| format!("start {}", self.name))?;
        Ok(Process { program: self, child })
    }
}

fn spawn(program: &Program) -> anyhow::Result<Child> {
    // Told apart from a missing `setpriv`, and from its report in a log file that nobody opened.
    if !program.path.is_file() {
        bail!("{} is not there", program.path.display());
    }
    if let Some(directory) = program.log.parent() {
        fs::create_dir_all(directory).context("create the directory of logs")?;
    }
    let log = File::options().create(true).append(true).open(&program.log);
    let log = log.with_context(|| format!("open {}", program.log.display()))?;
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(&program.path)
        .args(&program.arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("share the log")?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("run setpriv (of Debian's util-linux)")
}

impl Process {
    pub fn name(&self) -> &str {
        &self.program.name
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kill −9: it has no say in the matter.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Starts it again with the same arguments, after it ended or was killed.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        self.child = spawn(&self.program).with_context(|| format!("restart {}", self.name()))?;
        Ok(())
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end and waits; kills it when `grace` is over.
    pub fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        self.terminate();
        let deadline = Instant::now() + grace;
        loop {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                self.kill();
                return None;
            }
            thread::sleep(POLL);
        }
    }

    /// Its last words, for an error that says why it ended.
    pub fn last_log_lines(&self, count: usize) -> String {
        last_lines(&self.program.log, count)
    }

    fn signal(&mut self, signal: Signal) {
        // One that was waited for has given its process id back: it may be another's by now.
        if self.exited().is_none() {
            // The only error left is that it ended in between.
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks all to end, waits for all, and kills those that take longer than `grace`. Gives the names of
/// those that had to be killed.
pub fn stop_all(processes: &mut [Process], grace: Duration) -> Vec<String> {
    for process in &mut *processes {
        process.terminate();
    }
    let deadline = Instant::now() + grace;
    let mut killed = Vec::new();
    for process in processes {
        let left = deadline.saturating_duration_since(Instant::now());
        if process.stop(left).is_none() {
            killed.push(process.name().to_owned());
        }
    }
    killed
}

fn last_lines(file: &Path, count: usize) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(directory: &Path, script: &str) -> Program {
        Program {
            name: "sh".to_owned(),
            path: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            log: directory.join("logs/sh.log"),
            ready_url: String::new(),
        }
    }

    fn is_alive(pid: u32) -> bool {
        // A zombie is no longer running: its state is the field after the name.
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
    }

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "waited for: {what}");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn a_dropped_process_is_gone_with_all_of_its_group() {
        let directory = tempfile::tempdir().unwrap();
        let program = shell(directory.path(), "sleep 600 & echo $!; wait");
        let log = program.log.clone();
        let process = program.start().unwrap();
        wait_until("the child's child", || last_lines(&log, 1).parse::<u32>().is_ok());
        let grandchild: u32 = last_lines(&log, 1).parse().unwrap();
        let child = process.pid();
        assert!(is_alive(child) && is_alive(grandchild));
        drop(process);
        wait_until("both to end", || !is_alive(child) && !is_alive(grandchild));
    }

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        let directory = tempfile::tempdir().unwrap();
        let program = shell(directory.path(), "echo on; while :; do sleep 0.1; done");
        // Forgotten, as when the parent is killed: only the kernel is left to end it.
        let child = thread::spawn(move || {
            let process = program.start().unwrap();
            let pid = process.pid();
            wait_until("sh", || process.last_log_lines(1) == "on");
            std::mem::forget(process);
            pid
        });
        let pid = child.join().unwrap();
        wait_until("the child to end", || !is_alive(pid));
    }

    #[test]
    fn stopping_asks_first_and_kills_after_the_grace() {
        let directory = tempfile::tempdir().unwrap();
        let polite =
            shell(directory.path(), "trap 'exit 3' TERM; echo on; while :; do sleep 0.01; done");
        let mut polite = polite.start().unwrap();
        wait_until("the trap", || polite.last_log_lines(1) == "on");
        assert_eq!(polite.stop(Duration::from_secs(10)).unwrap().code(), Some(3));

        let stubborn =
            shell(directory.path(), "trap '' TERM; echo off; while :; do sleep 0.01; done");
        let mut stubborn = stubborn.start().unwrap();
        wait_until("the trap", || stubborn.last_log_lines(1) == "off");
        assert_eq!(stubborn.stop(Duration::from_millis(100)), None);
        assert!(stubborn.exited().is_some());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut program = shell(Path::new("/tmp"), "");
        program.path = PathBuf::from("/nowhere/watershed-edge");
        let error = format!("{:#}", program.start().unwrap_err());
        assert_eq!(error, "start sh: /nowhere/watershed-edge is not there");
    }
}
