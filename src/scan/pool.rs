//! Processes many items in parallel and returns the results in the order of the items. Items start in order, and only
//! as many as their weights allow: memory does not grow with the number of images.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The main thread's usual stack size in bytes; other threads get a quarter of it by default.
const STACK: usize = 8 << 20;

/// Limits on the number and total weight of the items that are processed at once. One item is always admitted.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub width: usize,
    pub weight: u64,
}

struct Used {
    weight: u64,
    items: usize,
}

/// Runs `work` over `items` in at most `bounds.width` threads. An item starts after all items before it have started.
pub fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    bounds: Bounds,
    weigh: impl Fn(&T) -> u64 + Sync,
    work: impl Fn(usize, T) -> R + Sync,
) -> Vec<R> {
    let count = items.len();
    if count <= 1 || bounds.width <= 1 {
        return items.into_iter().enumerate().map(|(at, item)| work(at, item)).collect();
    }
    let queue = Mutex::new(items.into_iter().enumerate());
    let (used, freed) = (Mutex::new(Used { weight: 0, items: 0 }), Condvar::new());
    let answers: Mutex<Vec<Option<R>>> = Mutex::new((0..count).map(|_| None).collect());
    let worker = || {
        loop {
            let (at, item, weight) = {
                // Held while this item waits to be admitted, so that no later one overtakes it.
                let mut queue = lock(&queue);
                let Some((at, item)) = queue.next() else { return };
                let weight = weigh(&item);
                let is_full = |used: &mut Used| used.items > 0 && used.weight.saturating_add(weight) > bounds.weight;
                let mut used = freed.wait_while(lock(&used), is_full).unwrap_or_else(PoisonError::into_inner);
                used.weight = used.weight.saturating_add(weight);
                used.items += 1;
                (at, item, weight)
            };
            let answer = work(at, item);
            let mut used = lock(&used);
            used.weight = used.weight.saturating_sub(weight);
            used.items -= 1;
            drop(used);
            freed.notify_all();
            lock(&answers)[at] = Some(answer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..bounds.width.min(count) {
            let started = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, worker);
            // Fewer threads do the same work; if none starts, this thread does it.
            if started.is_err() {
                worker();
                return;
            }
        }
    });
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.into_iter().map(|answer| answer.expect("every item has an answer")).collect()
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    /// The results, and the maximum weight that was processed at once.
    fn run(weights: Vec<u64>, width: usize, weight: u64) -> (Vec<usize>, u64) {
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let answers = side_by_side(
            weights,
            Bounds { width, weight },
            |weight| *weight,
            |at, weight| {
                most.fetch_max(now.fetch_add(weight, Ordering::SeqCst) + weight, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2 * (7 - at as u64 % 7)));
                now.fetch_sub(weight, Ordering::SeqCst);
                at
            },
        );
        (answers, most.load(Ordering::SeqCst))
    }

    #[test]
    fn answers_keep_the_order_of_the_items_and_the_weight_stays_bounded() {
        let (answers, most) = run(vec![3; 40], 8, 10);
        assert_eq!(answers, (0..40).collect::<Vec<_>>());
        assert!((6..=9).contains(&most), "{most}");
        assert_eq!(run(vec![], 8, 10).0, [0usize; 0]);
    }

    #[test]
    fn an_item_that_exceeds_the_weight_runs_alone() {
        let (answers, most) = run(vec![1, 50, 1, 50, u64::MAX / 2, 1], 4, 10);
        assert_eq!(answers, [0, 1, 2, 3, 4, 5]);
        assert_eq!(most, u64::MAX / 2);
    }
}
