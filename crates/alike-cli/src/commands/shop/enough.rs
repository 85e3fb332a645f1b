//! Which purchases are learned from: each customer's first of each product, of customers and products that
//! come often enough, where that leaves most of them.

use std::collections::HashSet;

use crate::commands::shop::orders::Purchase;
use crate::commands::shop::words::counted;

/// How often customers and products come at best.
const BEST: usize = 5;
/// Share of the purchases that a stricter rule must leave.
const LEAVES: f64 = 0.6;
/// Purchases below which nothing is learned.
pub(super) const LEAST: usize = 50;
/// Products of a customer of whom one can be kept aside to check with.
pub(super) const CHECKED: usize = 3;
/// Customers with so many below which nothing is learned.
const LEAST_CHECKED: usize = 5;

/// What is learned from.
pub(super) struct LearnedFrom {
    pub(super) purchases: Vec<Purchase>,
    /// How often every customer and every product comes in it.
    pub(super) least: usize,
    /// Purchases of a product that the customer had bought before.
    pub(super) repeats: usize,
    /// Customers and products that come less often.
    pub(super) rare: [usize; 2],
    /// Customers who bought enough to check with.
    pub(super) checked: usize,
}

impl LearnedFrom {
    /// Of all purchases.
    pub(super) fn of(all: &[Purchase]) -> Self {
        let mut order: Vec<&Purchase> = all.iter().collect();
        // The sort is stable: of one moment the first in the file counts.
        order.sort_by(|a, b| a.time.total_cmp(&b.time));
        let mut seen = HashSet::new();
        let first: Vec<Purchase> =
            order.into_iter().filter(|p| seen.insert((p.customer, p.product))).copied().collect();
        let repeats = all.len() - first.len();
        let enough = |kept: &Vec<Purchase>| kept.len() as f64 >= LEAVES * first.len() as f64;
        let strict = (2..=BEST).rev().map(|least| (least, of_often(&first, least)));
        let (least, purchases) =
            strict.into_iter().find(|(_, kept)| enough(kept)).unwrap_or_else(|| (1, first.clone()));
        let different = |purchases: &[Purchase], which: fn(&Purchase) -> u32| {
            purchases.iter().map(which).collect::<HashSet<_>>().len()
        };
        let rare = [|p: &Purchase| p.customer, |p: &Purchase| p.product]
            .map(|which| different(&first, which) - different(&purchases, which));
        let mut counts = std::collections::HashMap::<u32, usize>::new();
        purchases.iter().for_each(|p| *counts.entry(p.customer).or_default() += 1);
        let checked = counts.values().filter(|count| **count >= CHECKED).count();
        Self { purchases, least, repeats, rare, checked }
    }

    /// Whether tastes can be learned from it.
    pub(super) fn is_enough(&self) -> bool {
        self.purchases.len() >= LEAST && self.checked >= LEAST_CHECKED
    }

    /// What is learned from, in plain words.
    pub(super) fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        let purchases = counted(self.purchases.len(), "purchase", "purchases");
        let repeats = match self.repeats {
            0 => String::new(),
            n => format!(" ({} of something bought before)", counted(n, "more is", "more are")),
        };
        let [customers, products] = self.rare;
        let customers = counted(customers, "customer", "customers");
        let products = counted(products, "product", "products");
        let from = if self.is_enough() { "Learned from" } else { "Counted" };
        let rare = match self.rare {
            [0, 0] => String::new(),
            _ => format!(
                "; {customers} and {products} have fewer, and can be served and suggested all the same"
            ),
        };
        said.push(match self.least {
            1 => format!("{from}: {purchases}{repeats}"),
            n => format!(
                "{from}: {purchases}{repeats}, of customers with at least {n} different products and of products with \
                 at least {n} buyers{rare}"
            ),
        });
        if self.is_enough() && self.least < BEST {
            said.push(
                match self.least {
                    1 => "Few customers have bought several products, so all count, also those who bought one: suggestions will \
                          get better with more orders",
                    _ => "Few customers have bought many products, so those with few count too: suggestions will get better with \
                          more orders",
                }
                .into(),
            );
        }
        said
    }
}

/// What is left when customers and products that come less often are taken away, again and again.
fn of_often(purchases: &[Purchase], least: usize) -> Vec<Purchase> {
    let mut kept = purchases.to_vec();
    loop {
        let (mut customers, mut products) =
            (std::collections::HashMap::<u32, usize>::new(), std::collections::HashMap::<u32, usize>::new());
        for purchase in &kept {
            *customers.entry(purchase.customer).or_default() += 1;
            *products.entry(purchase.product).or_default() += 1;
        }
        let before = kept.len();
        kept.retain(|p| customers[&p.customer] >= least && products[&p.product] >= least);
        if kept.len() == before {
            return kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purchases(customers: u32, each: u32, products: u32) -> Vec<Purchase> {
        let one = |n: u32| Purchase {
            customer: n / each,
            product: (n / each + 7 * (n % each)) % products,
            time: f64::from(n),
        };
        (0..customers * each).map(one).collect()
    }

    #[test]
    fn rare_customers_are_left_out_where_there_are_many_others() {
        let mut all = purchases(40, 6, 20);
        all.push(Purchase { customer: 99, product: 0, time: 0.0 });
        all.push(Purchase { customer: 0, product: 0, time: 1e9 });
        let from = LearnedFrom::of(&all);
        assert_eq!((from.least, from.purchases.len(), from.repeats, from.rare), (5, 240, 1, [1, 0]));
        assert!(from.is_enough() && from.said()[0].contains("1 customer and 0 products have fewer"));
    }

    #[test]
    fn few_orders_lower_what_is_asked_of_them() {
        let from = LearnedFrom::of(&purchases(60, 3, 20));
        assert_eq!((from.least, from.is_enough()), (3, true));
        assert!(from.said()[1].starts_with("Few customers have bought many"));
        let from = LearnedFrom::of(&purchases(60, 1, 60));
        assert_eq!((from.least, from.is_enough(), from.checked), (1, false, 0));
        assert!(!LearnedFrom::of(&purchases(12, 4, 20)).is_enough());
    }
}
