//! A disk of a few MiB, in a mount namespace of its own: it needs no root where the kernel lets users
//! make such namespaces, and is gone with the process that holds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use cli::process::{Process, Program};
use tokio::time::sleep;

const POLL: Duration = Duration::from_millis(20);
const MOUNT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct SmallDisk {
    holder: Process,
    mount_point: PathBuf,
}

impl SmallDisk {
    /// Mounts it at `mount_point`, for its holder and those that [`SmallDisk::enter`].
    pub async fn mount(mount_point: &Path, mebibytes: u32) -> anyhow::Result<Self> {
        fs::create_dir_all(mount_point)?;
        let script = format!(
            "mount -t tmpfs -o size={mebibytes}m tmpfs '{0}' && touch '{0}/.mounted' && sleep 600",
            mount_point.display()
        );
        let holder = Program {
            name: "small disk".to_owned(),
            path: PathBuf::from("/usr/bin/unshare"),
            arguments: ["--map-root-user", "--mount", "sh", "-c", &script]
                .map(str::to_owned)
                .into(),
            log: mount_point.with_extension("log"),
            ready_url: String::new(),
        };
        let mut disk = Self { holder: holder.start()?, mount_point: mount_point.to_owned() };
        let deadline = tokio::time::Instant::now() + MOUNT_TIMEOUT;
        while !disk.path(".mounted").exists() {
            let says = disk.holder.last_log_lines(3);
            ensure!(disk.holder.exited().is_none(), "mount a small disk: {says}");
            ensure!(tokio::time::Instant::now() < deadline, "mount a small disk: {says}");
            sleep(POLL).await;
        }
        Ok(disk)
    }

    /// The same program where the disk is mounted.
    pub fn enter(&self, program: Program) -> Program {
        let namespace =
            ["--user", "--preserve-credentials", "--mount", "--target"].map(str::to_owned);
        let pid = self.holder.pid().to_string();
        let path = program.path.display().to_string();
        let arguments = namespace.into_iter().chain([pid, path]).chain(program.arguments).collect();
        Program { path: PathBuf::from("/usr/bin/nsenter"), arguments, ..program }
    }

    /// Leaves no room.
    pub fn fill(&self) -> anyhow::Result<()> {
        let ballast = self.path("ballast");
        let mut file = fs::File::create(&ballast).context("create the ballast")?;
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        Ok(())
    }

    /// Makes room again.
    pub fn clear(&self) -> anyhow::Result<()> {
        fs::remove_file(self.path("ballast")).context("remove the ballast")
    }

    fn path(&self, name: &str) -> PathBuf {
        let inside = self.mount_point.strip_prefix("/").unwrap_or(&self.mount_point);
        Path::new("/proc").join(self.holder.pid().to_string()).join("root").join(inside).join(name)
    }
}
