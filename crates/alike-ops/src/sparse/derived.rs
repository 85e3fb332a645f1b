//! What operators derive from a pattern, kept with it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};

/// One value per type, made when it is first needed. The owner does not know the types: each belongs to the
/// operator that derives it.
#[derive(Default)]
pub(crate) struct Derived(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Derived {
    /// The value of type `T`; `make` makes it at the first call.
    pub(crate) fn get<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = values.iter().find_map(|value| value.clone().downcast().ok()) {
            return found;
        }
        let made = Arc::new(make());
        values.push(made.clone());
        made
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.lock().map_or(0, |values| values.len());
        write!(f, "Derived({count})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_made_once() {
        let derived = Derived::default();
        let mut made = 0;
        for _ in 0..3 {
            let number = derived.get(|| {
                made += 1;
                7u32
            });
            assert_eq!((*number, derived.get(|| "text").len()), (7, 4));
        }
        assert_eq!(made, 1);
        assert_eq!(format!("{derived:?}"), "Derived(2)");
    }
}
