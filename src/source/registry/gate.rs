//! Limits the number of parallel requests. A permit is held while a connection is in use. The holder of a permit for a
//! content must not wait for another one, so contents and short requests have separate semaphores.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A counting semaphore.
#[derive(Debug)]
pub struct Gate {
    free: Mutex<usize>,
    freed: Condvar,
}

/// The right to use one connection, until it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Gate>);

impl Gate {
    /// Allows `limit` permits, but at least one.
    pub fn new(limit: usize) -> Arc<Gate> {
        Arc::new(Gate { free: Mutex::new(limit.max(1)), freed: Condvar::new() })
    }

    /// Waits until a permit is free.
    pub fn enter(self: &Arc<Gate>) -> Permit {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Permit(Arc::clone(self))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_than_the_limit_pass_at_once() {
        let (gate, inside, most) = (Gate::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let _permit = gate.enter();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_limit_of_zero_still_allows_one() {
        let gate = Gate::new(0);
        drop(gate.enter());
        drop(gate.enter());
    }
}
