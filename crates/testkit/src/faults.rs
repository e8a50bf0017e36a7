//! Calls of the system that fail under a program: strace's fault injection, where there is a strace that may trace. Nothing is put
//! between the program and its libraries, and no file system has to be mounted.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Which calls fail, and how.
#[derive(Clone, Debug)]
pub struct Fault<'a> {
    /// As strace's `-e trace` has them: a name, or a pattern after a slash.
    pub calls: &'a str,
    /// The name of the error.
    pub error: &'a str,
    /// Only on this file; on all, if it is empty. A program's own start reads libraries.
    pub path: &'a str,
}

/// Reading from a file.
pub const READS: &str = "/^p?read(64|v)?$";
/// Writing into a file, or to a terminal.
pub const WRITES: &str = "/^p?write(64|v)?$";
/// Waiting until it is on the disk.
pub const SYNCS: &str = "/^f(data)?sync$";
/// Moving a file to its place.
pub const MOVES: &str = "/^rename";

/// Whether calls can be made to fail here. If not, that is said where the tests run.
pub fn can_be_injected() -> bool {
    let tried = Command::new("strace")
        .args(["-qq", "-e", "trace=none", "true"])
        .output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("there is no strace here that may trace: nothing is made to fail");
    }
    can
}

/// A program whose calls fail. It goes on unhurt when this is dropped.
pub struct Attached(Child);

impl Drop for Attached {
    fn drop(&mut self) {
        // A program whose tracer is killed is let go.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fault<'_> {
    /// Runs the command, with those calls failing that `when` says (strace's: `3`, `1+2`). What it ended with, and how many of
    /// its calls failed.
    ///
    /// # Panics
    /// Where [`can_be_injected`] does not hold.
    pub fn inject(&self, when: &str, command: &Command) -> (Output, usize) {
        let folder = tempfile::tempdir().unwrap();
        let traced = folder.path().join("calls");
        let output = self
            .under_strace(when, command, &traced)
            .output()
            .expect("strace was there");
        let calls = std::fs::read(traced).unwrap_or_default();
        let failed = String::from_utf8_lossy(&calls)
            .matches("(INJECTED)")
            .count();
        (output, failed)
    }

    /// Runs the command again and again: the first of the calls fails, then the second, at last one beyond those that it makes; of
    /// many, some are left out. `ended` is told which call failed, if one did, and what came of it.
    ///
    /// # Panics
    /// Where [`can_be_injected`] does not hold, and if no call ever fails.
    pub fn each(&self, command: &Command, mut ended: impl FnMut(Option<usize>, Output)) {
        let mut nth = 1;
        loop {
            let (output, failed) = self.inject(&nth.to_string(), command);
            ended((failed > 0).then_some(nth), output);
            if failed == 0 {
                break;
            }
            nth += 1 + nth / 3;
        }
        assert!(nth > 1, "{self:?}: there is no such call");
    }

    /// Makes calls of a program that runs fail, as [`Self::inject`] does, until what is returned is dropped. `path` is a whole one.
    /// `None` where strangers may not be traced, which is said.
    pub fn attach(&self, when: &str, process: u32) -> Option<Attached> {
        let mut strace = self.strace(when, Path::new("/"));
        let mut strace = strace
            .args(["-o", "/dev/null", "-p", &process.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(strace.stderr.take()?).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        if first.contains("attached") {
            return Some(Attached(strace));
        }
        let _ = strace.wait();
        eprintln!("strace may not trace a program that runs: nothing is made to fail ({first})");
        None
    }

    /// What fails; `path` is within `folder`.
    fn strace(&self, when: &str, folder: &Path) -> Command {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", &format!("trace={}", self.calls)]);
        let inject = format!("inject={}:error={}:when={when}", self.calls, self.error);
        strace.args(["-e", &inject]);
        if !self.path.is_empty() {
            strace.arg("-P").arg(folder.join(self.path));
        }
        strace
    }

    fn under_strace(&self, when: &str, command: &Command, traced: &Path) -> Command {
        let folder = command.get_current_dir().map(Path::to_owned);
        let mut strace = self.strace(when, &folder.clone().unwrap_or_default());
        strace.args(["-qq", "-o"]).arg(traced);
        strace.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = folder {
            strace.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        strace
    }
}
