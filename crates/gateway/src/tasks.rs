//! Every spawned task: counted, contained and joined at shutdown. The only place that spawns.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

struct Count(Arc<Inner>);

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

    /// Runs `work` in the background.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.inner.running.fetch_add(1, Ordering::SeqCst);
        let count = Count(Arc::clone(&self.inner));
        // A future that awaits what it was given keeps room for it twice; connections and streams stay for hours.
        let work = Box::pin(work);
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

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
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

    async fn ended(tasks: &Tasks) {
        while tasks.running() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
