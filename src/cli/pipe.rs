//! Reading from what may make one wait.

use std::io::{self, BufRead, Read};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::STOP;

/// What may keep a reader waiting for as long as it likes. A thread of its own waits, so that Ctrl-C does not have to.
pub(super) struct Pipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Pipe {
    /// How often a reader that waits looks whether it was stopped.
    const LOOK: Duration = Duration::from_millis(50);

    pub(super) fn new(mut source: impl Read + Send + 'static) -> Self {
        const CHUNK: usize = 1 << 16;
        let (sender, chunks) = sync_channel(2);
        // Ends with the source, or when nobody takes its chunks any more.
        std::thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = source.read(&mut chunk).map(|length| {
                    chunk.truncate(length);
                    chunk
                });
                let interrupted = read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted);
                let last = read.as_ref().map_or(!interrupted, Vec::is_empty);
                if (!interrupted && sender.send(read).is_err()) || last {
                    return;
                }
            }
        });
        Self { chunks, chunk: io::Cursor::default() }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.fill_buf()?.is_empty() {
            match self.chunks.recv_timeout(Self::LOOK) {
                Ok(chunk) if chunk.as_ref().is_ok_and(Vec::is_empty) => return Ok(0),
                Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) if STOP.load(Ordering::Relaxed) => {
                    return Err(io::Error::other("stopped while waiting for more"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.chunk.read(buffer)
    }
}
