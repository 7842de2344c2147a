//! One instance: started, watched, started again, stopped. Each is a task of its own, `sidecar-instance`, which ends when it is told to; a
//! failure of the sidecar is a state, never the end of the task.

mod external;
mod failure;
mod record;
mod start;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::diagnosis;
use crate::error::{ErrorKind, SidecarError};
use crate::exit::Exit;
use crate::health::Target;
use crate::observer::Change;
use crate::output::Writer;
use crate::preflight::Depth;
use crate::process::Process;
use crate::restart::Restarts;
use crate::status::State;

pub(crate) use record::{Record, Sidecar};

/// How often it is looked whether calls still run at an instance that gets no more.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// What a person wants of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It should run; one that does is left alone.
    Start,
    /// It should not.
    Stop,
    /// It should end, if it runs, and start.
    Restart,
}

/// A wish, and who waits for it. The answer is the error of a start that failed.
pub(crate) struct Order {
    pub(crate) wish: Wish,
    pub(crate) done: oneshot::Sender<Result<(), Box<SidecarError>>>,
}

/// What the instance does next.
enum Next {
    /// Nothing, until somebody wants something.
    Rest,
    /// Start.
    Start,
    /// Start after a wait.
    StartAfter(Duration),
}

/// What came first.
enum Met<T> {
    Done(T),
    Order(Order),
    End,
}

/// A process that is ready.
pub(crate) struct Running {
    process: Process,
    target: Target,
    writer: Writer,
}

/// The task of one instance.
pub(crate) struct Instance {
    sidecar: Arc<Sidecar>,
    number: u32,
    restarts: Restarts,
    orders: mpsc::Receiver<Order>,
    stop: CancellationToken,
    /// How much is looked at before the next start.
    depth: Depth,
    /// Those who wait for it to become ready.
    waiting: Vec<oneshot::Sender<Result<(), Box<SidecarError>>>>,
}

/// Waits for something, unless somebody wants something else or all ends.
async fn unless_told<T>(orders: &mut mpsc::Receiver<Order>, stop: &CancellationToken, work: impl Future<Output = T>) -> Met<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Met::End,
        order = orders.recv() => order.map_or(Met::End, Met::Order),
        done = work => Met::Done(done),
    }
}

impl Instance {
    pub(crate) fn new(sidecar: Arc<Sidecar>, number: u32, orders: mpsc::Receiver<Order>, stop: CancellationToken) -> Self {
        let restarts = Restarts::new(sidecar.config.restart.clone());
        Self { sidecar, number, restarts, orders, stop, depth: Depth::Whole, waiting: Vec::new() }
    }

    fn record(&self) -> &Record {
        self.sidecar.record(self.number)
    }

    /// Lives until it is told to end.
    pub(crate) async fn run(mut self) {
        if self.sidecar.is_external() {
            return external::run(&self.sidecar, self.number, &self.stop).await;
        }
        let mut next = if self.sidecar.config.autostart { Next::Start } else { Next::Rest };
        loop {
            let wait = async {
                match next {
                    Next::Rest => std::future::pending().await,
                    Next::Start => {}
                    Next::StartAfter(wait) => tokio::time::sleep(wait).await,
                }
            };
            next = match unless_told(&mut self.orders, &self.stop, wait).await {
                Met::End => return self.sidecar.change(self.number, State::Stopped, None, "the host ends", None),
                Met::Order(order) => self.obey_at_rest(order),
                Met::Done(()) => match self.start_and_watch().await {
                    Some(next) => next,
                    None => return,
                },
            };
        }
    }

    /// While nothing runs.
    fn obey_at_rest(&mut self, order: Order) -> Next {
        match order.wish {
            Wish::Start | Wish::Restart => {
                self.begin_anew();
                // Somebody has changed something, perhaps what is needed.
                self.depth = Depth::Whole;
                self.waiting.push(order.done);
                Next::Start
            }
            Wish::Stop => {
                self.answer(Ok(()));
                if self.record().state() != State::Stopped {
                    self.sidecar.change(self.number, State::Stopped, Some(Change::Stopped), "as it was told to", None);
                }
                let _ = order.done.send(Ok(()));
                Next::Rest
            }
        }
    }

    /// Answers those who wait for it to become ready. One who has gone does not mind.
    fn answer(&mut self, result: Result<(), &SidecarError>) {
        for done in self.waiting.drain(..) {
            let _ = done.send(result.map_err(|error| Box::new(error.clone())));
        }
    }

    /// One life. Nothing when all ends.
    async fn start_and_watch(&mut self) -> Option<Next> {
        if let Err(wait) = self.restarts.start(Instant::now()) {
            let error = self.too_many_starts(wait);
            self.sidecar.tell_failure(self.number, &error);
            return Some(self.give_up(error));
        }
        let sidecar = Arc::clone(&self.sidecar);
        if let Some(need) = sidecar.missing_need() {
            // That may take for ever; the state says what it waits for, also to whoever is answered now.
            start::tell_wait(&sidecar, self.number, need);
            self.answer(Ok(()));
        }
        let mut half = None;
        let started = {
            let mut starting = std::pin::pin!(start::start(&sidecar, self.number, self.depth, &mut half));
            loop {
                match unless_told(&mut self.orders, &self.stop, starting.as_mut()).await {
                    // That is what is being done.
                    Met::Order(Order { wish: Wish::Start, done }) if sidecar.missing_need().is_some() => drop(done.send(Ok(()))),
                    Met::Order(Order { wish: Wish::Start, done }) => self.waiting.push(done),
                    met => break met,
                }
            }
        };
        match started {
            Met::Done(Ok(running)) => {
                self.depth = Depth::Quick;
                self.watch(running).await
            }
            Met::Done(Err(error)) => {
                self.depth = Depth::Whole;
                self.end_half(half, "it did not become ready").await;
                Some(self.failed(error, None))
            }
            Met::Order(order) => {
                self.end_half(half, "before it was ready").await;
                // Whoever waited for a start sees that somebody else decided otherwise.
                self.answer(Ok(()));
                Some(self.obey_at_rest(order))
            }
            Met::End => {
                self.end_half(half, "before it was ready").await;
                None
            }
        }
    }

    /// Ends a process that was about to become ready.
    async fn end_half(&self, process: Option<Process>, why: &str) {
        if let Some(process) = process {
            self.sidecar.change(self.number, State::Stopping, None, why, Some(process.pid));
            process.stop(self.sidecar.config.shutdown_timeout).await;
        }
    }

    /// It is ready: makes it an endpoint and looks after it until it ends. Nothing when all ends.
    async fn watch(&mut self, running: Running) -> Option<Next> {
        let Running { mut process, target, writer } = running;
        let sidecar = Arc::clone(&self.sidecar);
        let (config, pid) = (&sidecar.config, process.pid);
        self.sidecar.publish(self.number, &target.url, true);
        self.record().ready(pid, &target.url, self.restarts.attempts());
        self.sidecar.change(self.number, State::Ready, Some(Change::Ready), &format!("answers at {}", target.url), Some(pid));
        self.answer(Ok(()));
        let ended = {
            let mut live = std::pin::pin!(watch::until_unwell(&sidecar, self.number, &target));
            let mut memory = std::pin::pin!(watch::until_too_large(&sidecar, self.number, process.reaper_pid()));
            let mut stable = std::pin::pin!(tokio::time::sleep(config.restart.stable_after));
            let mut is_stable = false;
            // Whether it could be started anew is looked at beside everything else.
            let mut look = None;
            loop {
                tokio::select! {
                    exit = process.ended() => break Ended::Itself(exit),
                    why = &mut live => break Ended::Must(watch::hanging(&why)),
                    used = &mut memory => break Ended::Must(watch::too_large(used, config.memory_limit)),
                    () = &mut stable, if !is_stable => {
                        is_stable = true;
                        self.begin_anew();
                    }
                    () = self.stop.cancelled() => break Ended::Told(None),
                    Some(looked) = OptionFuture::from(look.as_mut()), if look.is_some() => {
                        look = None;
                        match looked {
                            Ok(()) => break Ended::Restart,
                            // What runs is better than what cannot.
                            Err(error) => {
                                self.record().failed(&error);
                                sidecar.tell_failure(self.number, &error);
                                self.answer(Err(&error));
                            }
                        }
                    }
                    order = self.orders.recv() => match order {
                        Some(Order { wish: Wish::Start, done }) => drop(done.send(Ok(()))),
                        Some(Order { wish: Wish::Restart, done }) => match self.restarts.may_start(Instant::now()) {
                            Ok(()) => {
                                self.waiting.push(done);
                                look.get_or_insert_with(|| Box::pin(start::could_start(&sidecar, self.number)));
                            }
                            Err(wait) => drop(done.send(Err(Box::new(self.too_many_starts(wait))))),
                        },
                        order => break Ended::Told(order),
                    },
                }
            }
        };
        match ended {
            Ended::Itself(exit) => {
                self.sidecar.unpublish(self.number);
                let exit = Exit { left: process.finish().await, ..exit };
                let error = start::crashed(&sidecar, exit, writer.stderr_lines());
                Some(self.failed(error, Some(exit)))
            }
            Ended::Must((kind, message)) => {
                self.sidecar.unpublish(self.number);
                self.sidecar.change(self.number, State::Stopping, None, &message, Some(pid));
                process.stop(config.shutdown_timeout).await;
                let stderr = writer.stderr_lines();
                Some(self.failed(diagnosis::explain(config, &sidecar.name, kind, message, Vec::new(), stderr), None))
            }
            Ended::Told(order) => {
                self.end(process, &target).await;
                // Whoever waited for a restart sees that somebody else decided otherwise.
                self.answer(Ok(()));
                order.map(|order| self.obey_at_rest(order))
            }
            Ended::Restart => {
                self.end(process, &target).await;
                self.begin_anew();
                // It was looked at just now.
                self.depth = Depth::Quick;
                Some(Next::Start)
            }
        }
    }

    /// Ends a process that is ready, after the calls that run.
    async fn end(&self, process: Process, target: &Target) {
        let pid = process.pid;
        self.drain(target, pid).await;
        self.sidecar.change(self.number, State::Stopping, None, "as it was told to", Some(pid));
        let exit = process.stop(self.sidecar.config.shutdown_timeout).await;
        self.sidecar.change(self.number, State::Stopped, Some(Change::Stopped), &format!("it ended {exit}"), Some(pid));
    }

    /// The failures so far do not count any more.
    fn begin_anew(&mut self) {
        self.restarts.forget();
        self.record().stable();
    }

    /// Lets the calls end that run, while it gets no new ones.
    async fn drain(&self, target: &Target, pid: u32) {
        self.sidecar.change(self.number, State::Draining, None, "it gets no new calls", Some(pid));
        self.sidecar.publish(self.number, &target.url, false);
        let (upstream, endpoint) = (&self.sidecar.config.upstream, self.sidecar.endpoint(self.number));
        let until = Instant::now() + self.sidecar.config.drain_timeout;
        loop {
            let running = self.sidecar.upstreams.pending(upstream, &endpoint);
            if running == 0 {
                break;
            }
            if Instant::now() >= until {
                tracing::warn!(target: "sidecar", sidecar = self.sidecar.name, instance = self.number, running, "calls are cut off: drain_timeout is over");
                break;
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        self.sidecar.unpublish(self.number);
    }
}

/// Why a running sidecar does not run any more.
enum Ended {
    /// By itself.
    Itself(Exit),
    /// It has to be ended.
    Must((ErrorKind, String)),
    /// Somebody wants something, or all ends.
    Told(Option<Order>),
    /// Somebody wants it anew, and it could be started.
    Restart,
}
