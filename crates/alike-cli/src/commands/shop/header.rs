//! The columns of a file by their names, and what kind of file these names make it.

use std::path::Path;

use crate::commands::shop::words::{file_name, listed};
use crate::failure::{Failure, Outcome};

/// What a file is, by the names of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileForm {
    ShopifyProducts,
    ShopifyOrders,
    WooProducts,
    WooOrders,
    MerchantFeed,
    /// A table of somebody's own.
    Plain,
}

impl FileForm {
    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ShopifyProducts => "a Shopify export of products",
            Self::ShopifyOrders => "a Shopify export of orders",
            Self::WooProducts => "a WooCommerce export of products",
            Self::WooOrders => "an export of WooCommerce orders",
            Self::MerchantFeed => "a Google Merchant feed",
            Self::Plain => "a table",
        }
    }
}

/// Names of columns, as they are and as they are compared.
#[derive(Debug, Clone)]
pub(super) struct ColumnTitles {
    pub(super) names: Vec<String>,
    plain: Vec<String>,
}

/// A name as it is compared: its letters and digits, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl ColumnTitles {
    pub(super) fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), plain: names.iter().map(|name| plain(name)).collect() }
    }

    /// Position of the first of these, in lower case and without signs, that there is.
    pub(super) fn first(&self, usual: &[&str]) -> Option<usize> {
        self.all(usual).first().copied()
    }

    /// Positions of all of these that there are, in this order.
    pub(super) fn all(&self, usual: &[&str]) -> Vec<usize> {
        usual.iter().filter_map(|name| self.plain.iter().position(|found| found == name)).collect()
    }

    /// Positions and names of those that start so, as they are compared.
    pub(super) fn starting(&self, start: &str) -> Vec<usize> {
        (0..self.plain.len()).filter(|&at| self.plain[at].starts_with(start)).collect()
    }

    /// Position of the column that somebody named.
    ///
    /// # Errors
    /// There is none; the flag and the columns are named.
    pub(super) fn named(&self, path: &Path, flag: &str, name: &str) -> Outcome<usize> {
        let same = |wanted: &dyn Fn(&String) -> bool| self.names.iter().position(wanted);
        let found = same(&|found| found == name).or_else(|| same(&|found| plain(found) == plain(name)));
        found.ok_or_else(|| {
            let columns = listed(&self.names);
            Failure::Usage(format!(
                "{flag}: {} has no column `{name}`; the columns are {columns}",
                file_name(path)
            ))
        })
    }

    /// What the names make the file.
    pub(super) fn form(&self) -> FileForm {
        let has = |names: &[&str]| self.first(names).is_some();
        if has(&["lineitemname"]) && has(&["financialstatus", "lineitemsku", "createdat"]) {
            FileForm::ShopifyOrders
        } else if has(&["handle", "urlhandle"])
            && has(&["title"])
            && has(&["bodyhtml", "variantsku", "variantprice", "imagesrc", "productimageurl", "option1value"])
        {
            FileForm::ShopifyProducts
        } else if has(&["type"])
            && has(&["name"])
            && has(&["regularprice", "isfeatured", "visibilityincatalog"])
            && has(&["id", "sku"])
        {
            FileForm::WooProducts
        } else if has(&["orderid", "ordernumber"])
            && (!self.starting("lineitem").is_empty()
                || has(&["emailbilling", "billingemail", "itemsku", "itemproductid"]))
        {
            FileForm::WooOrders
        } else if has(&["id"])
            && has(&["title"])
            && has(&["imagelink", "availability"])
            && has(&["link", "price"])
        {
            FileForm::MerchantFeed
        } else {
            FileForm::Plain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_columns() {
        for (header, form) in [
            ("Handle,Title,Body (HTML),Vendor,Variant SKU", FileForm::ShopifyProducts),
            ("Title,URL handle,Description,Vendor,SKU,Option1 value,Price", FileForm::ShopifyProducts),
            ("Name,Email,Financial Status,Created at,Lineitem name,Lineitem sku", FileForm::ShopifyOrders),
            ("ID,Type,SKU,Name,Published,Regular price", FileForm::WooProducts),
            ("order_id,order_date,status,customer_id,billing_email,item_sku", FileForm::WooOrders),
            ("Order Number,Order Status,Order Date,Email (Billing),SKU,Item Name", FileForm::WooOrders),
            ("id,title,description,link,image_link,availability,price", FileForm::MerchantFeed),
            ("item_id,title,description,image", FileForm::Plain),
            ("user_id,item_id,order_id,time", FileForm::Plain),
        ] {
            let names: Vec<String> = header.split(',').map(String::from).collect();
            assert_eq!(ColumnTitles::new(&names).form(), form, "{header}");
        }
    }
}
