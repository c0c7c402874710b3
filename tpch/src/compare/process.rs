//! An engine's process: requests, replies with a time limit, its memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::memory;
use super::protocol::{Reply, Request};
use crate::failure::{During, Failure, Result};

/// A running engine. Dropping it ends the process.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    replies: Receiver<String>,
    /// The most memory that it was seen to have had.
    peak_bytes: u64,
}

impl Process {
    /// Starts an engine. What it complains goes to `log`.
    pub fn start(command: &mut Command, log: File) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .during(format!("starting {}", command.get_program().display()))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| Failure::new("a process has no output"))?;
        let (send, replies) = channel();
        // Ends with the process's output, or when nobody waits any more.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, input, replies, peak_bytes: 0 })
    }

    /// Sends a request and waits for its reply. The outer failure means that the process
    /// is of no more use; the error in the reply that it goes on.
    pub fn ask(&mut self, request: &Request, patience: Duration) -> Result<Reply> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let input = self.input.as_mut().ok_or_else(|| Failure::new("the process was closed"))?;
        let sent = input.write_all(&line).and_then(|()| input.flush());
        if sent.is_err() {
            return Err(self.ended());
        }
        let reply = self.replies.recv_timeout(patience);
        self.peak_bytes = self.peak_bytes.max(memory::peak_bytes(self.child.id()));
        match reply {
            Ok(line) => serde_json::from_str(&line).during("reading a reply"),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                Err(Failure::new(format!("no answer in {} s", patience.as_secs())))
            }
        }
    }

    /// The most memory that the process and its children had at once, each by itself.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Lets the process end by itself, which may take it `patience`.
    pub fn close(mut self, patience: Duration) -> Result<()> {
        // A process that is gone needs no goodbye.
        let _ = self.ask(&Request::Close, patience);
        self.input = None;
        Ok(())
    }

    fn ended(&mut self) -> Failure {
        match self.child.wait() {
            Ok(status) => Failure::new(format!("the process ended ({status})")),
            Err(error) => Failure::new(format!("the process ended ({error})")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        // One that hangs is stopped; one that has ended does not mind.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
