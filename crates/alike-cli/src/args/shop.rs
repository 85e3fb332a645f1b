//! The flags of `alike shop`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::args::values::Text;

/// `alike shop`.
#[derive(Debug, Args)]
pub(crate) struct Shop {
    /// Your products: an export of Shopify or WooCommerce, a Google Merchant feed, or a table of your own
    /// (.csv, .tsv, .xlsx, .ods, .jsonl, .xml)
    #[arg(long, value_name = "FILE")]
    pub(crate) catalogue: PathBuf,
    /// Your orders: an export of Shopify or WooCommerce, or a table of your own with customers and products;
    /// repeat for more
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) orders: Vec<PathBuf>,
    /// Folder of pictures that are named by the product's number, SKU or handle, or as in the addresses of
    /// the catalogue; pictures on the web are not fetched
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: Option<PathBuf>,
    /// Folder to work in: all that is made, and what customers do on the page
    #[arg(long, value_name = "DIR", default_value = "shop")]
    pub(crate) out: PathBuf,
    /// Column of the products' numbers in the catalogue [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) catalogue_id: Option<String>,
    /// Column of the products' titles in the catalogue [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) catalogue_title: Option<String>,
    /// Column of the orders that says who bought [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) order_user: Option<String>,
    /// Column of the orders that says which product [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) order_item: Option<String>,
    /// Column of the orders that says when; none leaves it out [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) order_time: Option<String>,
    /// How dates of the orders are written, such as "%d/%m/%Y %H:%M" [default: guessed]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) time_format: Option<String>,
    /// Keep e-mail addresses as they are; without it customers are told apart by a secret code made of them
    #[arg(long)]
    pub(crate) keep_emails: bool,
    #[command(flatten)]
    pub(crate) text: Text,
    /// Learn in at most so many rounds: quicker, and worse
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: Option<u32>,
    /// Address of the page on this machine; port 0 takes any that is free
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) address: SocketAddr,
    /// Stop when all is ready, before the page
    #[arg(long)]
    pub(crate) no_serve: bool,
    /// Print what was found as JSON, and nothing else before the page
    #[arg(long)]
    pub(crate) json: bool,
}
