//! A budget of retries: however much fails, extra attempts stay a fixed share of the calls.
//!
//! Without one, three retries turn an outage into four times the load at the worst moment.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;

/// Settings of a budget. Over any time, extra attempts are at most `ratio · calls + floor_per_second · seconds + burst`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetConfig {
    /// Extra attempts that each call pays for; 0 to 1. Finagle and Linkerd: 0.2.
    pub ratio: f64,
    /// Extra attempts allowed per second however few calls there are. Finagle and Linkerd: 10.
    pub floor_per_second: u32,
    /// The most that can be saved up, and what there is at the start. 100 is ten seconds of the floor, the window of Finagle and Linkerd.
    pub burst: u32,
}

impl Default for BudgetConfig {
    /// 20 % of the calls, 10 per second, 100 saved up.
    fn default() -> Self {
        Self { ratio: 0.2, floor_per_second: 10, burst: 100 }
    }
}

/// Counts what calls pay in and extra attempts take out. Lock free; paying in costs one atomic step.
pub struct RetryBudget {
    clock: Clock,
    /// In billionths of an attempt, so that a floor per second is a whole number per nanosecond.
    balance: AtomicU64,
    refilled: AtomicU64,
    deposit: u64,
    floor: u64,
    most: u64,
}

impl RetryBudget {
    const ATTEMPT: u64 = 1_000_000_000;

    /// A full budget. A ratio that is not within 0 to 1 becomes the nearer end of it; no number becomes 0.
    #[must_use]
    pub fn new(config: BudgetConfig) -> Self {
        let budget = Self::empty(config);
        budget.balance.store(budget.most, Ordering::Relaxed);
        budget
    }

    /// A budget that has nothing saved up yet.
    #[must_use]
    pub fn empty(config: BudgetConfig) -> Self {
        let ratio = if config.ratio.is_nan() { 0.0 } else { config.ratio.clamp(0.0, 1.0) };
        let clock = Clock::start();
        Self {
            balance: AtomicU64::new(0),
            refilled: AtomicU64::new(clock.now()),
            clock,
            // In millionths first: 0.29 is no binary number and must still be 0.29.
            deposit: (ratio * 1e6).round() as u64 * 1000,
            floor: u64::from(config.floor_per_second),
            most: u64::from(config.burst) * Self::ATTEMPT,
        }
    }

    /// A call pays in its share.
    pub fn record_call(&self) {
        // A full budget stays as it is: no write, so no cache line moves between cores while all is well.
        if self.deposit > 0 && self.balance.load(Ordering::Relaxed) < self.most {
            self.pay_in(self.deposit);
        }
    }

    /// Takes out one extra attempt. `false` when there is none.
    #[must_use]
    pub fn try_take(&self) -> bool {
        self.refill();
        self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| balance.checked_sub(Self::ATTEMPT)).is_ok()
    }

    /// Gives back an extra attempt that was taken and not made.
    pub fn give_back(&self) {
        self.pay_in(Self::ATTEMPT);
    }

    /// Extra attempts that could be made now.
    #[must_use]
    pub fn balance(&self) -> f64 {
        self.refill();
        self.balance.load(Ordering::Relaxed) as f64 / 1e9
    }

    fn pay_in(&self, amount: u64) {
        let paid = |balance: u64| Some(balance.saturating_add(amount).min(self.most));
        // Always `Some`, so this cannot fail.
        let _ = self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
    }

    fn refill(&self) {
        let now = self.clock.now();
        // Each stretch of time is paid for by exactly one thread.
        let before = self.refilled.fetch_max(now, Ordering::Relaxed);
        let gained = now.saturating_sub(before).saturating_mul(self.floor);
        if gained > 0 {
            self.pay_in(gained);
        }
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget").field("balance", &self.balance()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fifth_of_the_calls_ten_per_second_and_a_burst_of_a_hundred() {
        let budget = RetryBudget::new(BudgetConfig::default());
        assert_eq!((0..1000).filter(|_| budget.try_take()).count(), 100);
        (0..50).for_each(|_| budget.record_call());
        assert_eq!((0..1000).filter(|_| budget.try_take()).count(), 10, "a fifth of fifty calls");
        advance(Duration::from_millis(2550)).await;
        assert_eq!((0..1000).filter(|_| budget.try_take()).count(), 25, "ten per second");
        advance(Duration::from_secs(3600)).await;
        assert_eq!((0..1000).filter(|_| budget.try_take()).count(), 100, "no more than the burst is saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_can_be_taken_again() {
        let budget = RetryBudget::empty(BudgetConfig { ratio: 0.5, floor_per_second: 0, burst: 1 });
        assert!(!budget.try_take());
        (0..2).for_each(|_| budget.record_call());
        assert!(budget.try_take() && !budget.try_take());
        budget.give_back();
        assert!(budget.try_take() && !budget.try_take());
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Call(u32),
        Take(u32),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![(1u32..50).prop_map(Step::Call), (1u32..50).prop_map(Step::Take), (0u64..3000).prop_map(Step::Wait)]
    }

    proptest! {
        /// The model: a number, in thousandths of an attempt.
        #[test]
        fn it_is_a_bucket_that_fills_by_calls_and_by_time(
            percent in 0u64..=100, floor in 0u32..20, burst in 0u32..20, steps in prop::collection::vec(step(), 1..80),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let ratio = percent as f64 / 100.0;
                let budget = RetryBudget::new(BudgetConfig { ratio, floor_per_second: floor, burst });
                let most = u64::from(burst) * 1000;
                let mut model = most;
                let (mut calls, mut millis, mut taken) = (0u64, 0u64, 0u64);
                for step in steps {
                    match step {
                        Step::Call(count) => for _ in 0..count {
                            budget.record_call();
                            calls += 1;
                            model = (model + percent * 10).min(most);
                        },
                        Step::Take(count) => for _ in 0..count {
                            let got = budget.try_take();
                            assert_eq!(got, model >= 1000, "{model}");
                            if got { model -= 1000; taken += 1; }
                        },
                        Step::Wait(wait) => {
                            advance(Duration::from_millis(wait)).await;
                            // Time counts when somebody looks, here at once.
                            let _ = budget.balance();
                            model = (model + wait * u64::from(floor)).min(most);
                            millis += wait;
                        }
                    }
                    let bound = percent * 10 * calls + u64::from(floor) * millis + most;
                    assert!(taken * 1000 <= bound);
                }
            });
        }
    }
}
