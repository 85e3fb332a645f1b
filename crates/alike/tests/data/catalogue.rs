//! Catalogues as shops have them: items that nobody took yet, columns by name, markup, nested values,
//! repeated rows.

use crate::data_files::{Files, LOG, npy_f32};
use alike::data::{Dataset, ItemColumns, PrepareOptions, prepare};

/// [`LOG`]'s items x, y, z, a new one with features, and one without.
const CATALOGUE: &str =
    "id,title,image,genre\nx,X,x.png,a\ny,Y,,b\nz,Z,,b\nnew,\"<b>New</b> &amp; fine\",,a\nbare,Bare,,a\n";

fn options(files: &Files) -> PrepareOptions {
    let mut options = files.options(LOG);
    let values = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 3.0, 3.0];
    options.features = vec![("m".into(), files.write("m.npy", npy_f32(6, 2, &values)))];
    options.feature_ids = vec![("m".into(), files.write("ids", "x\ny\nz\nnew\nbare\nother"))];
    options.items = Some(files.write("items.csv", CATALOGUE));
    options
}

#[test]
fn items_that_nobody_took_are_kept_where_they_have_features() {
    let files = Files::new();
    let (report, data) = files.open(&options(&files));
    let new = data.items.get("new").unwrap();
    assert_eq!((report.items, report.cold_items, data.items.len()), (4, 1, 4));
    assert_eq!(data.title(new), Some("New & fine"));
    assert_eq!(data.features[0].values()[new as usize * 2..][..2], [0.5, 0.5]);
    assert!(report.notes.iter().any(|n| n.starts_with("1 item has features and no interaction")), "{report}");
    assert_eq!(data.items.get("bare"), None, "a row of zeros is no feature");
    assert_eq!(data.items.get("other"), None, "not in the catalogue");

    let known = PrepareOptions { cold_items: false, ..options(&files) };
    assert_eq!(files.open(&known).0.items, 3);
    let core = PrepareOptions { k_core: 2, ..options(&files) };
    assert_eq!(files.open(&core).0.items, 3, "a core leaves out what has fewer interactions");
}

#[test]
fn an_item_stays_whatever_became_of_its_interactions() {
    let files = Files::new();
    // `new` was viewed and rated low, no more.
    let log = "user,item,event,rating,x_label\na,x,buy,5,0\na,y,buy,5,1\na,z,buy,5,2\na,new,view,1,0\n";
    let bought = |files: &Files| PrepareOptions {
        interactions: files.write("events.csv", log),
        events: vec![("buy".into(), 1.0)],
        ..options(files)
    };
    let rated = |files: &Files| PrepareOptions {
        interactions: files.write("events.csv", log),
        min_rating: Some(2.0),
        ..options(files)
    };
    for options in [bought(&files), rated(&files)] {
        let (report, data) = files.open(&options);
        let new = data.items.get("new").unwrap();
        assert_eq!((report.items, report.cold_items, data.title(new)), (4, 3, Some("New & fine")));
        assert!(
            report.notes.iter().any(|n| n.starts_with("1 item has features and no interaction")),
            "{report}"
        );
        let known = PrepareOptions { cold_items: false, ..options };
        assert_eq!(files.open(&known).0.items, 3);
    }
}

#[test]
fn a_catalogue_of_other_items_is_an_error_still() {
    let files = Files::new();
    let mut options = options(&files);
    options.items = Some(files.write("items.csv", "id,title\nother,O\nnew,N\n"));
    let text = files.error(&options);
    assert!(text.contains("none of its 2 ids is an item of the interactions"), "{text}");
}

#[test]
fn a_first_row_of_an_item_is_no_header() {
    let files = Files::new();
    let mut options = options(&files);
    options.items = Some(files.write("items.csv", "x,Shirt\ny,Hose\nz,Zip\n"));
    options.item_columns =
        ItemColumns { id: Some("x".into()), title: Some("Shirt".into()), ..Default::default() };
    let text = files.error(&options);
    assert!(text.contains("the first line looks like data") && text.contains("`x` is an item"), "{text}");
    // An item that nobody took yet is known by its features.
    options.items = Some(files.write("items.csv", "new,Shirt\nx,Hose\ny,Zip\n"));
    options.item_columns.id = Some("new".into());
    let text = files.error(&options);
    assert!(
        text.contains("looks like data") && text.contains("`new` is an item of the features `m`"),
        "{text}"
    );
    // Where no name is usual it is asked.
    options.item_columns = ItemColumns::default();
    let text = files.error(&options);
    assert!(text.contains("`--id COLUMN`") && text.contains("if these are an item's values"), "{text}");
    options.items = Some(files.write("items.csv", "who,title\nx,Hose\n"));
    assert!(!files.error(&options).contains("an item's values"));
}

#[test]
fn columns_are_named_where_they_are_called_otherwise() {
    let files = Files::new();
    let mut options = options(&files);
    options.items = Some(files.write("items.csv", "Artikelnummer;Bezeichnung;Bild\nx;Hemd;h.jpg\ny;Hose;\n"));
    let text = files.error(&options);
    assert!(text.contains("`--id COLUMN`") && text.contains("`Artikelnummer`"), "{text}");
    options.item_columns = ItemColumns {
        id: Some("Artikelnummer".into()),
        title: Some("Bezeichnung".into()),
        image: Some("Bild".into()),
        ..Default::default()
    };
    let data = files.open(&options).1;
    let x = data.items.get("x").unwrap();
    assert_eq!((data.title(x), data.catalogue.image(x)), (Some("Hemd"), Some("h.jpg")));
    options.item_columns.category = Some("Gruppe".into());
    assert!(files.error(&options).contains("no column `Gruppe`"));
    let json =
        "{\"nr\": \"x\", \"produkt\": {\"name\": \"Hemd\"}, \"bilder\": [{\"id\": 1, \"src\": \"a.jpg\"}]}\n";
    options.items = Some(files.write("items.jsonl", json));
    let names = ["nr", "produkt", "bilder"].map(|n| Some(n.to_string()));
    let [id, title, image] = names;
    options.item_columns = ItemColumns { id, title, image, ..Default::default() };
    let data = files.open(&options).1;
    assert_eq!((data.title(x), data.catalogue.image(x)), (Some("Hemd"), Some("a.jpg")));
    options.item_columns.category = Some("gruppe".into());
    assert!(files.error(&options).contains("no column `gruppe`"));
}

#[test]
fn rows_for_further_pictures_add_what_the_first_lacks() {
    let files = Files::new();
    let mut options = options(&files);
    options.items =
        Some(files.write("items.csv", "Handle,Title,Image Src\nx,Shirt,\nx,,a.jpg\nx,Other,b.jpg\n"));
    let (report, data) = files.open(&options);
    let x = data.items.get("x").unwrap();
    assert_eq!((data.title(x), data.catalogue.image(x)), (Some("Shirt"), Some("a.jpg")));
    assert!(report.notes.iter().any(|n| n == "2 lines of items.csv repeat an item"), "{report}");
}

/// The exports of shops and of data sets name their columns in ways of their own.
#[test]
fn exports_of_shops_need_no_names() {
    let files = Files::new();
    let mut options = options(&files);
    let cases = [
        (
            "Handle,Title,Body (HTML),Vendor,Product Category,Type,Variant Price,Image Src\nx,Shirt,<p>red</p>,V,Wear,T,9,a.jpg\n",
            "Wear",
        ),
        (
            "ID,Type,SKU,Name,Short description,Description,Categories,Images\n\
             7,simple,x,Shirt,s,d,\"Wear, Red\",\"https://s/a.jpg, https://s/b.jpg\"\n",
            "Wear, Red",
        ),
        (
            "id\ttitle\tdescription\tlink\timage_link\tgoogle_product_category\nx\tShirt\td\tl\ta.jpg\tWear\n",
            "Wear",
        ),
        ("g:id\tg:title\tg:image_link\tg:product_type\nx\tShirt\ta.jpg\tWear > Red\n", "Wear > Red"),
        (
            "ISBN;\"Book-Title\";\"Book-Author\";\"Image-URL-S\";\"Image-URL-L\";Genre\nx;Shirt;A;s.jpg;a.jpg;Wear\n",
            "Wear",
        ),
    ];
    for (content, category) in cases {
        options.items = Some(files.write("items.csv", content));
        let data = files.open(&options).1;
        let x = data.items.get("x").unwrap();
        let image = data.catalogue.image(x).map(|image| image.trim_start_matches("https://s/"));
        assert_eq!(
            (data.title(x), image, data.catalogue.category(x)),
            (Some("Shirt"), Some("a.jpg"), Some(category)),
            "{content}"
        );
    }
}

#[test]
fn words_for_nothing_are_no_titles() {
    let files = Files::new();
    let mut options = options(&files);
    for (name, content) in [
        ("items.csv", "id,title,name,image\nx,nan,,NULL\ny,NaN,Why,y.jpg\nz,,,\n,,,\n"),
        (
            "items.jsonl",
            "{\"id\": \"x\", \"title\": \"nan\", \"image\": \"NULL\"}\n\
                         {\"id\": \"y\", \"title\": \"NaN\", \"name\": \"Why\", \"image\": \"y.jpg\"}\n{\"id\": \"z\", \"title\": null}\n",
        ),
    ] {
        options.items = Some(files.write(name, content));
        let (report, data) = files.open(&options);
        let at = |id: &str| data.items.get(id).unwrap();
        assert_eq!(
            (data.title(at("x")), data.catalogue.image(at("x")), data.title(at("z"))),
            (None, None, None)
        );
        assert_eq!((data.title(at("y")), report.titles), (Some("Why"), Some(1)));
        let said =
            |text: &str| assert!(report.notes.iter().any(|n| *n == format!("{name}: {text}")), "{report}");
        said("1 cell of column `title` with `nan`: taken as empty");
        said("1 cell of column `image` with `NULL`: taken as empty");
    }
}

#[cfg(unix)]
#[test]
fn a_catalogue_may_be_a_pipe() {
    use std::os::fd::AsRawFd;
    let files = Files::new();
    let mut options = options(&files);
    let mut child = std::process::Command::new("cat")
        .arg(options.items.as_ref().unwrap())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = child.stdout.take().unwrap();
    options.items = Some(format!("/dev/fd/{}", pipe.as_raw_fd()).into());
    prepare(&options).unwrap();
    assert_eq!(Dataset::open(&options.out).unwrap().items.len(), 4);
    child.wait().unwrap();
}
