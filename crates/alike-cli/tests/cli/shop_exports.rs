//! `alike shop` on files as shops export them, on files with few orders, and on wrong ones.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::shop::{CUSTOMERS, PRODUCTS, Shop, bought, kind};
use crate::usage::one_line;
use crate::world::alike;

#[test]
fn an_export_of_shopify_is_known_by_its_columns() {
    let shop = Shop::new();
    let mut products = String::from(
        "\u{feff}Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,\
         Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Image Src,Status\r\n",
    );
    for p in 0..PRODUCTS {
        let (kind, status) = (kind(p), if p == 5 { "draft" } else { "active" });
        products += &format!(
            "thing-{p},Thing {p},\"<p>For the {kind},\r\nin two lines &amp; \"\"quoted\"\"</p>\",Acme,Home > {kind},{kind},\"{kind}, new\",true,\
             Size,S,SKU-{p}-S,shopify,3,deny,{p}.99,https://cdn.shop.example/files/{p}.png?v=1,{status}\r\n\
             thing-{p},,,,,,,,,M,SKU-{p}-M,shopify,1,deny,{p}.49,,\r\n\
             thing-{p},,,,,,,,,,,,,,,https://cdn.shop.example/files/{p}-b.png,\r\n"
        );
    }
    shop.write("products_export.csv", &products);
    let mut orders = String::from(
        "Name,Email,Financial Status,Paid at,Created at,Lineitem quantity,Lineitem name,Lineitem sku,Cancelled at\n",
    );
    for c in 0..CUSTOMERS {
        for (n, p) in bought(c).enumerate() {
            let (order, size) = (1000 + c * 10 + n / 2, if n % 2 == 0 { "S" } else { "M" });
            // The second line of an order has no address, and some products have no SKU.
            let head = match n % 2 {
                0 => format!(
                    "Customer{c}@Example.com,paid,2024-03-{:02} 10:00:00 -0500,2024-03-{:02} 10:00:00 -0500",
                    n + 1,
                    n + 1
                ),
                _ => ",,,".into(),
            };
            let sku = if p % 4 == 0 { String::new() } else { format!("SKU-{p}-{size}") };
            orders += &format!("#{order},{head},1,Thing {p} - {size},{sku},\n");
        }
    }
    orders += "#9001,gone@example.com,refunded,,2024-03-01 10:00:00 -0500,1,Thing 1 - S,SKU-1-S,\n";
    orders += "#9002,old@example.com,paid,,2024-03-01 10:00:00 -0500,1,Forgotten thing,OLD-1,\n";
    shop.write("orders_export.csv", &orders);
    image(&shop.path("pictures/3.png"));
    let said = shop.run_on("products_export.csv", "orders_export.csv", &["--pictures", "pictures"]);
    for part in [
        "is a Shopify export of products: 24 products, 48 rows of variants and further pictures joined to them",
        "1 product is hidden or a draft",
        "Pictures: 1 product with a file and 23 products with an address on the web",
        "is a Shopify export of orders",
        "Left out: 1 line of orders that were cancelled, refunded or failed",
        "1 line about 1 product that the catalogue does not have, such as `OLD-1`",
        "Customers are told apart by their e-mail addresses, which are not kept",
        "of 30 customers, from 1 Mar 2024",
        "Pictures: looked at for 1 product",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let third = &shop.products()[3];
    assert_eq!(third["description"], "For the kitchen, in two lines & \"quoted\"");
    assert_eq!(
        (&third["price"], &third["stock"], &third["size"]),
        (&json!("3.49"), &json!("4"), &json!(["S", "M"]))
    );
    assert_eq!(
        (&third["category"], &third["tags"]),
        (&json!(["Home", "kitchen"]), &json!(["kitchen", "new"]))
    );
    assert!(third["image"].as_str().unwrap().starts_with("pictures/"), "{third}");
    // Nobody's address is anywhere.
    let mut folders = vec![shop.path("shop")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).to_lowercase();
            assert!(!text.contains("@example.com"), "{}", path.display());
        }
    }
    let kept = shop.run_on("products_export.csv", "orders_export.csv", &["--keep-emails"]);
    assert!(
        !kept.contains("told apart") && shop.read("shop/purchases.csv").contains("Customer3@Example.com")
    );
}

/// A picture of one colour.
fn image(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // A PNG of one pixel.
    let bytes = [
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0,
        0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x08, 0xd7,
        0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44,
        0xae, 0x42, 0x60, 0x82,
    ];
    fs::write(path, bytes).unwrap();
}

#[test]
fn exports_of_woocommerce_and_feeds_are_known_by_their_columns() {
    let shop = Shop::new();
    let mut products = String::from(
        "ID,Type,SKU,Name,Published,Short description,Description,In stock?,Stock,Sale price,Regular price,Categories,Tags,Images,Parent,\
         Attribute 1 name,Attribute 1 value(s)\n",
    );
    let mut orders =
        String::from("order_id,order_date,status,customer_id,billing_email,item_sku,item_quantity\n");
    let mut feed = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\" xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>S</title>\n",
    );
    for p in 0..PRODUCTS {
        let kind = kind(p);
        products += &format!(
            "{},variable,W-{p},Thing {p},1,For the {kind},<b>Good</b>,1,,,\"{p},50\",Home > {kind},,,,Size,\"S, M\"\n\
             {},variation,W-{p}-S,Thing {p} - S,1,,,1,2,,\"{p},50\",,,,id:{},Size,S\n",
            100 + p,
            200 + p,
            100 + p
        );
        feed += &format!(
            "<item><g:id>W-{p}-S</g:id><g:item_group_id>G{p}</g:item_group_id><title>Thing {p}</title><description>For the {kind}</description>\
             <g:price>{p}.50 EUR</g:price><g:availability>in_stock</g:availability><g:brand>Acme</g:brand>\
             <g:link>https://s/{p}</g:link></item>\n"
        );
    }
    for c in 0..CUSTOMERS {
        for (n, p) in bought(c).enumerate() {
            let status = if n == 0 { "wc-cancelled" } else { "wc-completed" };
            orders += &format!(
                "{},2024-03-{:02} 10:00:00,{status},0,c{c}@example.com,W-{p}-S,1\n",
                c * 100 + n,
                n + 1
            );
        }
    }
    shop.write("woo.csv", &products);
    shop.write("woo-orders.csv", &orders);
    shop.write("feed.xml", &(feed + "</channel></rss>\n"));
    let said = shop.run_on("woo.csv", "woo-orders.csv", &[]);
    for part in [
        "is a WooCommerce export of products: 24 products, 24 rows",
        "is an export of WooCommerce orders",
        "Left out: 30 lines of orders",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let product = &shop.products()[2];
    assert_eq!(
        (&product["item_id"], &product["price"], &product["size"]),
        (&json!("102"), &json!("2.5"), &json!(["S", "M"]))
    );
    assert_eq!(product["description"], "For the garden Good");
    let said = shop.run_on("feed.xml", "woo-orders.csv", &[]);
    assert!(said.contains("feed.xml is a Google Merchant feed: 24 products"), "{said}");
    assert_eq!(shop.products()[2]["item_id"], "G2");
}

#[test]
fn too_few_orders_give_bestsellers_or_say_so() {
    let shop = Shop::new();
    let orders = shop.read("orders.csv");
    let few: Vec<&str> = orders.lines().take(33).collect();
    shop.write("few.csv", &(few.join("\n") + "\n"));
    let said = shop.run_on("products.csv", "few.csv", &[]);
    assert!(
        said.contains("32 purchases of 4 customers are too few to learn tastes from")
            && said.contains("the same for everybody"),
        "{said}"
    );
    shop.write("single.csv", "customer_id,item_id\na,P1\nb,P2\nc,P1\n");
    shop.refused(&["--catalogue", "products.csv", "--orders", "single.csv"], "come again with more orders");
    assert!(shop.state()["live"]["run"].is_string(), "what was there stays");
    // Three products each: less is asked of them, and that is said.
    let mut orders = String::from("customer_id,item_id,time\n");
    for c in 0..CUSTOMERS {
        bought(c)
            .take(3)
            .enumerate()
            .for_each(|(n, p)| orders += &format!("c{c},P{p},{}\n", 1_700_000_000 + n));
    }
    shop.write("small.csv", &orders);
    let said = shop.run_on("products.csv", "small.csv", &[]);
    assert!(
        said.contains("at least 3 different products") && said.contains("better with more orders"),
        "{said}"
    );
}

#[test]
fn wrong_files_are_told_in_one_line_with_the_way_out() {
    let shop = Shop::new();
    let (p, o) = ("products.csv", "orders.csv");
    let refused = |catalogue: &str, orders: &str, more: &[&str], says: &str| {
        shop.refused(&[&["--catalogue", catalogue, "--orders", orders], more].concat(), says);
    };
    refused("none.csv", o, &[], "--catalogue: there is no file none.csv; give the file of your products");
    refused(p, "none.csv", &[], "--orders: there is no file none.csv");
    fs::create_dir(shop.path("folder")).unwrap();
    refused("folder", o, &[], "--catalogue: folder is a folder; give the file of your products");
    shop.write("empty.csv", "");
    refused(p, "empty.csv", &[], "--orders: empty.csv is empty; export your orders again");
    shop.write("header.csv", "customer_id,item_id\n");
    refused(p, "header.csv", &[], "has a header and no rows");
    refused(o, p, &[], "--catalogue: orders.csv has orders in it, not products");
    refused(p, p, &[], "--orders: products.csv has products in it, not orders");
    refused(
        p,
        o,
        &["--catalogue-id", "number"],
        "--catalogue-id: products.csv has no column `number`; the columns are `item_id`",
    );
    refused(
        p,
        o,
        &["--order-user", "who"],
        "--order-user: orders.csv has no column `who`; the columns are `customer_id`",
    );
    shop.write("other.csv", "customer_id,item_id\na,X-1\nb,X-2\n");
    refused(p, "other.csv", &[], "none of its products is in the catalogue");
    shop.write("odd.csv", "nummer,was\n1,Lampe\n2,Tisch\n");
    refused("odd.csv", o, &[], "--catalogue-id COLUMN; the columns are `nummer`, `was`");
    shop.write("same.csv", "id,title\n1,a\n1,b\n1,c\n1,d\n");
    refused("same.csv", o, &[], "say which column tells products apart: --catalogue-id COLUMN");
    shop.write("when.csv", "customer_id,item_id,time\na,P1,02/03/2024\n");
    refused(p, "when.csv", &[], "may be read in two ways; say which with --time-format \"%d/%m/%Y\"");
    refused(p, o, &["--pictures", "nowhere"], "--pictures: nowhere is no folder");
    shop.write("mine/letter.txt", "x");
    refused(
        p,
        o,
        &["--out", "mine"],
        "holds something else than a shop made here; choose another folder with --out",
    );
    assert!(!shop.path("shop/shop.json").exists() || shop.state()["live"].is_null());
    alike()
        .current_dir(shop.folder.path())
        .args(["shop", "--catalogue", p, "--orders", o, "--address", "0.0.0.0:8080"])
        .env_remove("ALIKE_API_KEY")
        .assert()
        .code(2)
        .stderr(one_line("is open to others"));
}
