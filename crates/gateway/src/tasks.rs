//! Every spawned task: counted, contained and joined at shutdown. The only place that spawns.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// Owner of all tasks of a gateway; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    running: AtomicUsize,
    idle: Notify,
    stop: watch::Sender<bool>,
    lost: AtomicBool,
}

/// The task panicked or the runtime ended: that request fails alone.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the task did not finish")]
pub struct Lost;

/// Work that goes on to its end whoever stops waiting for it; see [`Tasks::supervise`].
pub struct Supervised<T: Send + 'static> {
    work: Option<Work<T>>,
    /// From the beginning: who waits for it may be a task that is not counted here, one of a connection over HTTP/2.
    count: Option<Count>,
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct Count(Arc<Inner>);

/// A task whose parts wake each other: a body and who reads it, a request and the connection that it goes on. What they say to
/// each other while they are polled is heard here, at once; the scheduler, which would put the task behind others and wake a
/// thread for it, is asked only when something comes from outside.
struct Alone<F> {
    work: Pin<Box<F>>,
    ear: Arc<Ear>,
    waker: Waker,
}

struct Ear {
    state: AtomicU8,
    outside: Mutex<Waker>,
}

/// Nobody polls: who wakes wakes the task.
const ASLEEP: u8 = 0;
/// It is being polled.
const POLLED: u8 = 1;
/// And was woken meanwhile.
const AGAIN: u8 = 2;
/// Turns at a stretch; then others have theirs.
const TURNS: usize = 16;

/// Blows when its task ends, by a panic too.
struct Fuse(Tasks);

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                running: AtomicUsize::new(0),
                idle: Notify::new(),
                stop: watch::Sender::new(false),
                lost: AtomicBool::new(false),
            }),
        }
    }

    /// Runs `work` to its end whoever stops waiting for it.
    ///
    /// # Errors
    /// [`Lost`] if it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Lost> {
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            let _gone = tell.send(work.await);
        });
        told.await.map_err(|_| Lost)
    }

    /// The same for what is awaited at once and nowhere else meanwhile: it is carried on by whoever waits, and becomes a task of its
    /// own only when they go. So it wakes nobody and changes no thread, as long as nobody goes.
    #[must_use]
    pub fn supervise<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Supervised<T> {
        Supervised { work: Some(Box::pin(work)), count: Some(self.count()) }
    }

    /// Runs `work` in the background.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        Self::spawn_as(self.count(), work);
    }

    fn count(&self) -> Count {
        self.inner.running.fetch_add(1, Ordering::SeqCst);
        Count(Arc::clone(&self.inner))
    }

    fn spawn_as(count: Count, work: impl Future<Output = ()> + Send + 'static) {
        // In a box: a future that awaits what it was given keeps room for it twice; connections and streams stay for hours.
        let work = Alone::new(work);
        tokio::spawn(async move {
            let _count = count;
            work.await;
        });
    }

    /// Runs `work` in the background for as long as the process serves: should it end before shutdown, nothing is ready any more.
    pub fn essential(&self, work: impl Future<Output = ()> + Send + 'static) {
        let fuse = Fuse(self.clone());
        self.spawn(async move {
            let _fuse = fuse;
            work.await;
        });
    }

    /// False once an essential task ended before shutdown.
    #[must_use]
    pub fn are_well(&self) -> bool {
        !self.inner.lost.load(Ordering::Relaxed)
    }

    /// Resolves once shutdown has begun.
    pub async fn stopping(&self) {
        let mut stop = self.inner.stop.subscribe();
        let _closed = stop.wait_for(|stopped| *stopped).await;
    }

    /// True once shutdown has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.inner.stop.borrow()
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.running.load(Ordering::SeqCst)
    }

    /// Begins shutdown and waits until every task has ended, at most `patience`. Returns how many are left.
    pub async fn stop(&self, patience: Duration) -> usize {
        self.inner.stop.send_replace(true);
        let all = async {
            loop {
                let idle = self.inner.idle.notified();
                if self.running() == 0 {
                    return;
                }
                idle.await;
            }
        };
        let _late = tokio::time::timeout(patience, all).await;
        self.running()
    }
}

// === impl Alone ===

impl<F: Future<Output = ()>> Alone<F> {
    fn new(work: F) -> Self {
        let ear = Arc::new(Ear { state: AtomicU8::new(ASLEEP), outside: Mutex::new(Waker::noop().clone()) });
        Self { work: Box::pin(work), waker: Waker::from(Arc::clone(&ear)), ear }
    }
}

impl<F: Future<Output = ()>> Future for Alone<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { work, ear, waker } = &mut *self;
        ear.outside.lock().unwrap_or_else(PoisonError::into_inner).clone_from(cx.waker());
        for _ in 0..TURNS {
            // Not a store: what was written before somebody woke must be seen in this turn.
            ear.state.swap(POLLED, Ordering::SeqCst);
            if work.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                return Poll::Ready(());
            }
            if ear.state.compare_exchange(POLLED, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return Poll::Pending;
            }
            if !tokio::task::coop::has_budget_remaining() {
                break;
            }
        }
        ear.state.swap(ASLEEP, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        loop {
            match self.state.compare_exchange(POLLED, AGAIN, Ordering::SeqCst, Ordering::SeqCst) {
                Err(ASLEEP) => {
                    let outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    return outside.wake();
                }
                Ok(_) => return,
                // Others woke it already. Written again all the same: only a write publishes what this one has to say.
                Err(_) if self.state.compare_exchange(AGAIN, AGAIN, Ordering::SeqCst, Ordering::SeqCst).is_ok() => return,
                Err(_) => {}
            }
        }
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> Future for Supervised<T> {
    type Output = Result<T, Lost>;

    /// [`Lost`] if the work panicked: the connection that waits for it goes on.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut work) = self.work.take() else { return Poll::Ready(Err(Lost)) };
        // What panicked is not polled again: it ends here.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Ok(Poll::Pending) => {
                self.work = Some(work);
                Poll::Pending
            }
            Err(_) => Poll::Ready(Err(Lost)),
        }
    }
}

impl<T: Send + 'static> Drop for Supervised<T> {
    fn drop(&mut self) {
        if let (Some(work), Some(count)) = (self.work.take(), self.count.take())
            && tokio::runtime::Handle::try_current().is_ok()
        {
            Tasks::spawn_as(count, async move {
                let _nobody_waits = work.await;
            });
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Supervised<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised").field("is_over", &self.work.is_none()).finish_non_exhaustive()
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        if !self.0.is_stopping() {
            self.0.inner.lost.store(true, Ordering::Relaxed);
            tracing::error!("an essential task ended");
        }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_essential_task_that_panics_is_noticed_and_an_ordinary_one_fails_alone() {
        let tasks = Tasks::new();
        assert!(tasks.run(async { panic!("on purpose") }).await.is_err());
        assert!(tasks.are_well());
        tasks.essential(async { panic!("on purpose") });
        assert!(tasks.are_well(), "it has not run yet");
        ended(&tasks).await;
        assert!(!tasks.are_well());
    }

    #[tokio::test]
    async fn an_essential_task_that_just_ends_is_noticed_too() {
        let tasks = Tasks::new();
        tasks.essential(async {});
        ended(&tasks).await;
        assert!(!tasks.are_well());
    }

    #[tokio::test]
    async fn the_end_of_an_essential_task_at_shutdown_is_no_loss() {
        let tasks = Tasks::new();
        let own = tasks.clone();
        tasks.essential(async move { own.stopping().await });
        assert_eq!(tasks.stop(Duration::from_secs(5)).await, 0);
        assert!(tasks.are_well());
    }

    #[tokio::test]
    async fn supervised_work_is_carried_on_by_who_waits_and_goes_on_without_them() {
        let tasks = Tasks::new();
        assert_eq!(tasks.supervise(async { 5 }).await.ok(), Some(5));
        let (tell, told) = oneshot::channel::<()>();
        let (said, heard) = oneshot::channel();
        let mut work = Box::pin(tasks.supervise(async move {
            let _asked = told.await;
            tokio::task::yield_now().await;
            let _gone = said.send(());
        }));
        tokio::select! {
            biased;
            _ = &mut work => panic!("it waits"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(tasks.running(), 1, "whoever waits may be no task of these");
        drop(work);
        assert_eq!(tasks.running(), 1, "whoever waited is gone");
        assert!(tell.send(()).is_ok(), "it is still there");
        assert!(heard.await.is_ok(), "it went on to its end");
        ended(&tasks).await;
    }

    #[tokio::test]
    async fn supervised_work_that_panics_fails_alone_before_and_after_it_is_left() {
        let tasks = Tasks::new();
        let lost = tasks.supervise(async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        });
        assert!(matches!(lost.await, Err::<(), Lost>(Lost)));
        drop(tasks.supervise(async { panic!("on purpose") }));
        ended(&tasks).await;
        assert!(tasks.are_well());
    }

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Wakes its own task so often before it is ready.
    async fn restless(mut times: usize) {
        std::future::poll_fn(|cx| {
            let Some(left) = times.checked_sub(1) else { return Poll::Ready(()) };
            times = left;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn what_a_task_says_to_itself_wakes_nobody() {
        let counted = Arc::<Counted>::default();
        let (waker, wakes) = (Waker::from(Arc::clone(&counted)), || counted.0.load(Ordering::SeqCst));
        let cx = &mut Context::from_waker(&waker);
        let mut few = Alone::new(restless(TURNS - 1));
        assert!(Pin::new(&mut few).poll(cx).is_ready());
        assert_eq!(wakes(), 0);
        let mut many = Alone::new(restless(TURNS));
        assert!(Pin::new(&mut many).poll(cx).is_pending(), "others have their turn");
        assert_eq!(wakes(), 1, "and it comes back");
        assert!(Pin::new(&mut many).poll(cx).is_ready());
    }

    #[test]
    fn what_others_say_to_a_task_wakes_it() {
        let counted = Arc::<Counted>::default();
        let (waker, wakes) = (Waker::from(Arc::clone(&counted)), || counted.0.load(Ordering::SeqCst));
        let cx = &mut Context::from_waker(&waker);
        let (tell, told) = oneshot::channel();
        let mut work = Alone::new(async { told.await.expect("told") });
        assert!(Pin::new(&mut work).poll(cx).is_pending());
        assert_eq!(wakes(), 0);
        tell.send(()).expect("heard");
        assert_eq!(wakes(), 1);
        assert!(Pin::new(&mut work).poll(cx).is_ready());
    }

    async fn ended(tasks: &Tasks) {
        while tasks.running() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
