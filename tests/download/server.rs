//! A small HTTP server that misbehaves on request: what a download must survive cannot be asked of a well-made one.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// How a file is served.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// As it should be, ranges included.
    Fine,
    /// The connection is closed after this many bytes of every answer.
    BreaksAfter(usize),
    /// Fine up to this byte of the file; nothing beyond it is ever sent.
    StopsAt(usize),
    /// Answers every request with the whole file, whatever range was asked for.
    IgnoresRanges,
    /// Ignores ranges and closes the first connection in the middle.
    IgnoresRangesBreaksOnce,
    /// Answers 416 to every request with a range.
    RefusesRanges,
    /// Answers with this status and an error page.
    Status(u16),
}

#[derive(Default)]
struct Shelf {
    files: HashMap<String, (Vec<u8>, Manner)>,
    log: Vec<Request>,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// First byte of the range, 0 without one.
    pub(crate) from: usize,
}

pub(crate) struct Server {
    shelf: Arc<Mutex<Shelf>>,
    port: u16,
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().expect("no handler panics while it holds the shelf")
}

impl Server {
    /// Listens on a free port of this machine until the test process ends.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("the address just bound").port();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let shared = Arc::clone(&shelf);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shelf = Arc::clone(&shared);
                thread::spawn(move || answer(connection, &shelf));
            }
        });
        Self { shelf, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn put(&self, path: &str, body: &[u8], manner: Manner) {
        lock(&self.shelf).files.insert(path.to_owned(), (body.to_vec(), manner));
    }

    pub(crate) fn remove(&self, path: &str) {
        lock(&self.shelf).files.remove(path);
    }

    /// All requests since the last call.
    pub(crate) fn take_log(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.shelf).log)
    }
}

fn answer(mut connection: TcpStream, shelf: &Mutex<Shelf>) {
    let Some(request) = read_request(&connection) else { return };
    let (file, asked_before) = {
        let mut shelf = lock(shelf);
        let asked_before = shelf.log.iter().any(|earlier| earlier.path == request.path);
        shelf.log.push(request.clone());
        (shelf.files.get(&request.path).cloned(), asked_before)
    };
    // A client that closes early is no concern of the server's.
    let _ = match file {
        None => send_error(&mut connection, 404),
        Some((body, manner)) => send(&mut connection, &body, manner, request.from, asked_before),
    };
    let _ = connection.shutdown(Shutdown::Both);
}

fn read_request(connection: &TcpStream) -> Option<Request> {
    connection.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut lines = BufReader::new(connection).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut from = 0;
    for line in lines {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.split('-').next()?.parse().ok()?;
        }
    }
    Some(Request { path, from })
}

fn send(
    connection: &mut TcpStream,
    body: &[u8],
    manner: Manner,
    from: usize,
    asked_before: bool,
) -> std::io::Result<()> {
    if let Manner::Status(status) = manner {
        return send_error(connection, status);
    }
    let ranges = !matches!(manner, Manner::IgnoresRanges | Manner::IgnoresRangesBreaksOnce);
    if from > 0 && ranges && (from >= body.len() || matches!(manner, Manner::RefusesRanges)) {
        return send_error(connection, 416);
    }
    let start = if ranges { from } else { 0 };
    let rest = &body[start..];
    let sent = match manner {
        Manner::BreaksAfter(n) => rest.len().min(n),
        Manner::StopsAt(n) => n.saturating_sub(start).min(rest.len()),
        Manner::IgnoresRangesBreaksOnce if !asked_before => rest.len() / 2,
        _ => rest.len(),
    };
    if start > 0 {
        let (last, all) = (body.len() - 1, body.len());
        write!(connection, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{all}\r\n")?;
    } else {
        write!(connection, "HTTP/1.1 200 OK\r\n")?;
    }
    write!(connection, "Content-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
    connection.write_all(&rest[..sent])
}

fn send_error(connection: &mut TcpStream, status: u16) -> std::io::Result<()> {
    let page = "<html>an error page that must never end up in a file</html>";
    write!(connection, "HTTP/1.1 {status} Error\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}", page.len())
}
