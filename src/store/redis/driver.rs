//! The task that owns a connection's socket, and the handle by which requests reach it.
//!
//! Requests append their commands to one buffer; the task writes what has gathered and gives each request the bytes of its own
//! replies, in order. So one write and one read serve all requests that are ready at the same time.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::resp::{Frame, Scanner};
use crate::store::error::StoreErrorKind;

/// Requests that may be under way on one connection; further ones wait for room until their deadline.
const MAX_UNDER_WAY: usize = 4096;
/// How much is read at once.
const CHUNK: usize = 16 << 10;
/// The most room that an empty buffer keeps.
const MAX_IDLE: usize = 1 << 20;
/// A reply of this length is handed on as it came; a shorter one is copied for less.
const LONG: usize = 16 << 10;
/// The room for a usual reply.
const REPLY: usize = 256;

pub(super) trait Socket: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Socket for T {}
pub(super) type BoxedSocket = Pin<Box<dyn Socket>>;

/// Sends requests to the driver. Clones share the connection.
#[derive(Clone)]
pub(super) struct Requests(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    room: Semaphore,
}

#[derive(Default)]
struct Queue {
    out: Vec<u8>,
    waiting: VecDeque<Waiter>,
    /// Set while the driver sleeps.
    driver: Option<Waker>,
    ended: bool,
}

struct Waiter {
    expects: usize,
    answer: Answer,
    tell: oneshot::Sender<Result<Answer, StoreErrorKind>>,
}

/// The replies to one request, as bytes.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Received,
    /// Some reply is an error.
    pub(super) has_error: bool,
}

/// What was received.
#[derive(Debug)]
pub(in crate::store) enum Received {
    /// Copied out of what came.
    Gathered(Vec<u8>),
    /// One long reply, as it came.
    Whole(Bytes),
}

impl std::ops::Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Gathered(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }
}

impl Received {
    fn append(&mut self, bytes: &[u8]) {
        match self {
            Self::Gathered(gathered) => gathered.extend_from_slice(bytes),
            Self::Whole(whole) => *self = Self::Gathered([whole, bytes].concat()),
        }
    }
}

impl Shared {
    /// Nothing panics while the lock is held.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    pub(super) fn have_ended(&self) -> bool {
        self.0.room.is_closed()
    }

    /// Whether every reply has come, those included that nobody waits for any more.
    pub(super) fn are_answered(&self) -> bool {
        self.0.room.available_permits() == MAX_UNDER_WAY
    }

    /// Sends what `encode` appends, `commands` commands, and waits for as many replies.
    ///
    /// A dropped future leaves the connection sound: its replies are read and dropped.
    pub(super) async fn send(
        &self,
        commands: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Answer, StoreErrorKind> {
        let room = match self.0.room.try_acquire() {
            Ok(room) => room,
            // Seldom, so this future need not have room for it.
            Err(_) => Box::pin(self.0.room.acquire()).await.map_err(|_| StoreErrorKind::Disconnected)?,
        };
        let told = self.enqueue(room, commands, encode)?;
        told.await.unwrap_or(Err(StoreErrorKind::Disconnected))
    }

    fn enqueue(
        &self,
        room: SemaphorePermit<'_>,
        commands: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<oneshot::Receiver<Result<Answer, StoreErrorKind>>, StoreErrorKind> {
        let (tell, told) = oneshot::channel();
        // Made here, so that the thread that frees it is usually the one that made it.
        let answer = Answer { bytes: Received::Gathered(Vec::with_capacity(REPLY)), has_error: false };
        let driver = {
            let mut queue = self.0.queue();
            if queue.ended {
                return Err(StoreErrorKind::Disconnected);
            }
            encode(&mut queue.out);
            queue.waiting.push_back(Waiter { expects: commands, answer, tell });
            queue.driver.take()
        };
        room.forget(); // given back when the replies have come, whether or not anybody still waits
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(told)
    }
}

/// Runs until the connection ends, by either side.
pub(super) struct Driver {
    socket: BoxedSocket,
    shared: Arc<Shared>,
    /// Requests whose commands were taken for writing, in order.
    sent: VecDeque<Waiter>,
    writing: Vec<u8>,
    written: usize,
    unflushed: bool,
    gathered: bool,
    received: BytesMut,
    scanner: Scanner,
    stray: Box<dyn Fn() + Send>,
}

/// Why a connection ended.
enum End {
    Socket,
    /// Bytes that are no reply, or a reply that nobody asked for.
    Stray,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Socket
    }
}

impl Driver {
    /// A driver of `socket`, and the handle to it. `stray` is called if a reply comes that nobody asked for.
    pub(super) fn new(socket: BoxedSocket, stray: Box<dyn Fn() + Send>) -> (Requests, Self) {
        let room = Semaphore::new(MAX_UNDER_WAY);
        let shared = Arc::new(Shared { queue: Mutex::default(), room });
        let driver = Self {
            socket,
            shared: Arc::clone(&shared),
            sent: VecDeque::new(),
            writing: Vec::new(),
            written: 0,
            unflushed: false,
            gathered: false,
            received: BytesMut::new(),
            scanner: Scanner::default(),
            stray,
        };
        (Requests(shared), driver)
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if let Poll::Ready(never) = self.poll_write(cx)? {
            match never {}
        }
        match self.poll_read(cx) {
            Poll::Ready(Err(end)) => Err(end),
            Poll::Ready(Ok(never)) => match never {},
            Poll::Pending => Ok(()),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<std::convert::Infallible>> {
        loop {
            if self.written == self.writing.len() && !self.gather(cx) {
                if self.unflushed {
                    ready!(self.socket.as_mut().poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
            let rest = self.writing.get(self.written..).unwrap_or_default();
            let written = ready!(self.socket.as_mut().poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.unflushed = true;
        }
    }

    /// Takes over what requests have appended. The first time it finds something it steps back behind the tasks that are ready to
    /// run, so that their commands go out in the same write.
    fn gather(&mut self, cx: &Context<'_>) -> bool {
        let mut queue = self.shared.queue();
        if queue.out.is_empty() {
            queue.driver = Some(cx.waker().clone());
            return false;
        }
        self.gathered = !self.gathered;
        if self.gathered {
            cx.waker().wake_by_ref();
            return false;
        }
        self.writing.clear();
        self.writing.shrink_to(MAX_IDLE);
        self.written = 0;
        std::mem::swap(&mut self.writing, &mut queue.out);
        self.sent.append(&mut queue.waiting);
        true
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<std::convert::Infallible, End>> {
        loop {
            if self.received.is_empty() && self.received.capacity() > MAX_IDLE {
                self.received = BytesMut::new(); // a long reply must not keep its room
            }
            self.received.reserve(CHUNK.max(self.scanner.missing(&self.received)));
            let read = ready!(pin!(self.socket.read_buf(&mut self.received)).poll(cx))?;
            if read == 0 {
                return Poll::Ready(Err(End::Socket));
            }
            self.deliver()?;
        }
    }

    fn deliver(&mut self) -> Result<(), End> {
        let mut done = 0;
        let result = loop {
            match self.scanner.next(&self.received) {
                Ok(None) => break Ok(()),
                Ok(Some((Frame::Push, end))) => self.received.advance(end),
                Ok(Some((frame, end))) => {
                    let Some(waiter) = self.sent.front_mut() else { break Err(End::Stray) };
                    if end >= LONG && waiter.answer.bytes.is_empty() {
                        waiter.answer.bytes = Received::Whole(self.received.split_to(end).freeze());
                    } else {
                        waiter.answer.bytes.append(self.received.get(..end).unwrap_or_default());
                        self.received.advance(end);
                    }
                    waiter.answer.has_error |= frame == Frame::Error;
                    waiter.expects = waiter.expects.saturating_sub(1);
                    if waiter.expects == 0
                        && let Some(waiter) = self.sent.pop_front()
                    {
                        drop(waiter.tell.send(Ok(waiter.answer))); // who gave up does not listen
                        done += 1;
                    }
                }
                Err(_) => break Err(End::Stray),
            }
        };
        self.shared.room.add_permits(done);
        result
    }

    /// One request hears that the replies are out of step, or the sink does; all others that the connection ended.
    fn end(&mut self, end: &End) {
        if matches!(end, End::Stray) {
            match self.sent.pop_front() {
                Some(waiter) => drop(waiter.tell.send(Err(StoreErrorKind::Desync))),
                None => (self.stray)(),
            }
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        match this.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(end) => {
                this.end(&end);
                Poll::Ready(())
            }
        }
    }
}

/// However the task ends, nobody waits for it any longer: to drop a waiter is to tell it.
impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.room.close();
        let waiting = {
            let mut queue = self.shared.queue();
            queue.ended = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(waiting);
    }
}
