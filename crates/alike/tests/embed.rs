//! From items files and pictures to features that `prepare` joins: what is encoded, taken over, left out.
#![allow(clippy::unwrap_used)]

mod data_files;

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use alike::data::PrepareOptions;
use alike::embed::{
    EmbedEvent, EmbedReport, EmbedRequest, EmbedSource, Encoder, EncoderChoice, Modality, embed,
};
use alike::{Error, Result};
use arrow_array::{Int64Array, StringArray};
use data_files::{Files, LOG, column, parquet_file};
use image::{ImageFormat, RgbImage};
use safetensors::SafeTensors;

const ITEMS: &str = "{\"item_id\": \"x\", \"title\": \"Red shirt\", \"genres\": [\"cotton\", \"long\"]}\n\
    {\"item_id\": \"y\", \"title\": \"Blue shirt\", \"genres\": [\"linen\"]}\n\
    {\"item_id\": \"z\", \"title\": \"\"}\n\
    {\"item_id\": \"w\", \"title\": \"Bread knife\", \"genres\": [\"steel\"]}\n\
    {\"item_id\": \"v\", \"title\": \"Blue shirt\", \"genres\": [\"linen\"]}\n";

fn request(source: EmbedSource, out: &Path) -> EmbedRequest<'static> {
    let encoder = EncoderChoice::Builtin { dim: 8 };
    EmbedRequest {
        source,
        text: Default::default(),
        id: None,
        encoder,
        batch: 2,
        out: out.to_path_buf(),
        progress: &(),
    }
}

fn texts(items: &Path) -> EmbedSource {
    EmbedSource::Texts { items: items.to_path_buf(), columns: Vec::new() }
}

fn run(request: &EmbedRequest<'_>) -> Result<EmbedReport> {
    embed(request, &mut |_| {})
}

fn rows(path: &Path) -> Vec<Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let features = tensors.tensor("features").unwrap();
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(features.data());
    values.chunks_exact(features.shape()[1]).map(<[f32]>::to_vec).collect()
}

fn picture(format: ImageFormat, seed: u8) -> Vec<u8> {
    let paint = |x: u32, y: u32| image::Rgb([(x * 5) as u8 ^ seed, (y * 7) as u8, seed]);
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(40, 30, paint).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn texts_become_features_that_prepare_joins_by_id() {
    let files = Files::new();
    let out = files.base.path().join("text.safetensors");
    let report = run(&request(texts(&files.write("items.jsonl", ITEMS)), &out)).unwrap();
    assert_eq!((report.items, report.rows, report.encoded, report.repeated), (5, 4, 3, 1));
    assert_eq!(report.columns, ["title", "genres"]);
    assert_eq!(report.modality, Modality::Text);
    assert_eq!(report.left_out.len(), 1);
    assert_eq!((&*report.left_out[0].item, &*report.left_out[0].reason), ("z", "has no text"));

    let vectors = rows(&out);
    assert_eq!(vectors[1], vectors[3], "equal texts have equal rows");
    assert!(!files.base.path().join("text.safetensors.part").exists());
    let options = PrepareOptions { features: vec![("text".into(), out.clone())], ..files.options(LOG) };
    let (report, data) = files.open(&options);
    assert_eq!(report.features[0].dim, vectors[0].len());
    let features = data.features.iter().find(|f| f.name == "text").unwrap();
    let item = |name: &str| data.items.get(name).unwrap() as usize;
    assert_eq!(features.values()[item("y") * features.dim..][..features.dim], vectors[1]);
    assert_eq!([item("x"), item("y"), item("z")].map(|i| features.missing[i]), [false, false, true]);

    let encoder = Encoder::open(&out).unwrap();
    assert_eq!(encoder.text("Red shirt cotton, long").unwrap(), vectors[0], "the same encoder, bit for bit");
    assert_eq!(encoder.dim(), vectors[0].len());
    assert!(encoder.picture(&picture(ImageFormat::Png, 1)).is_err());
}

#[test]
fn the_same_texts_in_a_table_give_the_same_rows() {
    let files = Files::new();
    let at = |name: &str| files.base.path().join(name);
    run(&request(texts(&files.write("items.jsonl", ITEMS)), &at("a.safetensors"))).unwrap();
    let csv = "id,title,genres\nx,Red shirt,\"cotton, long\"\ny,Blue shirt,linen\nz,,\nw,Bread knife,steel\nv,Blue shirt,linen\n";
    run(&request(texts(&files.write("items.csv", csv)), &at("b.safetensors"))).unwrap();
    let titles = vec![Some("Red shirt"), Some("Blue shirt"), None, Some("Bread knife"), Some("Blue shirt")];
    let genres = vec![Some("cotton, long"), Some("linen"), None, Some("steel"), Some("linen")];
    let table = vec![
        ("number", column(Int64Array::from(vec![1, 2, 3, 4, 5]))),
        ("title", column(StringArray::from(titles))),
        ("genres", column(StringArray::from(genres))),
    ];
    let parquet = parquet_file(&at("items.parquet"), table);
    let numbered =
        EmbedRequest { id: Some("number".into()), ..request(texts(&parquet), &at("c.safetensors")) };
    run(&numbered).unwrap();
    assert_eq!(fs::read(at("a.safetensors")).unwrap(), fs::read(at("b.safetensors")).unwrap());
    assert_eq!(rows(&at("a.safetensors")), rows(&at("c.safetensors")));
}

#[test]
fn one_thread_and_three_write_the_same_bytes() {
    let files = Files::new();
    let items = files.write("items.jsonl", ITEMS);
    let with = |threads: usize| {
        let out = files.base.path().join(format!("{threads}.safetensors"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&request(texts(&items), &out))).unwrap();
        fs::read(out).unwrap()
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn pictures_are_read_and_broken_ones_reported() {
    let files = Files::new();
    let folder = files.base.path().join("pictures");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("a.jpg", &picture(ImageFormat::Jpeg, 10));
    write("b.PNG", &picture(ImageFormat::Png, 90));
    write("c.webp", &picture(ImageFormat::WebP, 200));
    write("d.png", &picture(ImageFormat::Png, 90));
    let png = picture(ImageFormat::Png, 30);
    write("e.png", &png[..png.len() / 2]);
    write("f.jpeg", b"<html>not found</html>");
    write("g.jpg", b"");
    write("notes.txt", b"not a picture");
    let out = files.base.path().join("image.safetensors");
    let source = |items| EmbedSource::PictureFolder { folder: folder.clone(), items };
    let report = run(&request(source(None), &out)).unwrap();
    assert_eq!((report.items, report.rows, report.repeated), (7, 4, 1));
    let reasons: Vec<String> = report.left_out.iter().map(|l| format!("{} {}", l.item, l.reason)).collect();
    for (found, says) in reasons.iter().zip(["e is damaged", "f is no JPEG", "g is empty"]) {
        assert!(found.starts_with(says), "{found}");
    }
    assert_eq!(reasons.len(), 3);
    let encoder = Encoder::open(&out.with_extension("encoder.json")).unwrap();
    assert_eq!(encoder.picture(&picture(ImageFormat::Png, 90)).unwrap(), rows(&out)[1]);

    // By an items file: those it names, in its order.
    let items = files.write(
        "items.csv",
        "id,image\nb,pictures/b.PNG\nx,gone.png\na,pictures/a.jpg\nu,https://x/y.png\nv,\n",
    );
    let column = EmbedSource::PictureColumn { items: items.clone(), column: None, folder: None };
    let report = run(&request(column, &out)).unwrap();
    let reasons: Vec<&str> = report.left_out.iter().map(|l| &*l.reason).collect();
    assert_eq!(report.rows, 2);
    assert!(
        reasons[0].starts_with("no file") && reasons[1].contains("address") && reasons[2] == "has no picture"
    );
    assert_eq!((report.encoded, report.reused), (0, 2), "rows of the earlier file are taken over");
    let report = run(&request(source(Some(items)), &out)).unwrap();
    assert_eq!((report.rows, report.left_out.len()), (2, 3));

    write("a.png", &picture(ImageFormat::Png, 1));
    let text = run(&request(source(None), &out)).unwrap_err().to_string();
    assert!(text.contains("item `a` has two pictures: a.jpg and a.png"), "{text}");
}

#[test]
fn stopped_work_is_taken_up_to_the_same_bytes() {
    let files = Files::new();
    let items: String =
        (0..40).map(|i| format!("{{\"id\": {i}, \"title\": \"thing {i} of {}\"}}\n", i % 5)).collect();
    let items = files.write("items.jsonl", items);
    let (whole, out) =
        (files.base.path().join("whole.safetensors"), files.base.path().join("out.safetensors"));
    run(&request(texts(&items), &whole)).unwrap();
    let stop = AtomicBool::new(false);
    let stopped = EmbedRequest { progress: &stop, ..request(texts(&items), &out) };
    let result = embed(&stopped, &mut |event| {
        if matches!(event, EmbedEvent::Batch { done } if done >= 10) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(result, Err(Error::Interrupted)));
    assert!(!out.exists() && files.base.path().join("out.safetensors.part").exists());
    let report = run(&request(texts(&items), &out)).unwrap();
    assert_eq!((report.reused, report.encoded), (10, 30));
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&out).unwrap());
    assert!(!files.base.path().join("out.safetensors.part").exists());
    let report = run(&request(texts(&items), &out)).unwrap();
    assert_eq!((report.reused, report.encoded), (40, 0));
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&out).unwrap());
}

#[test]
fn a_damaged_file_is_noticed_and_made_again() {
    let files = Files::new();
    let items = files.write("items.jsonl", ITEMS);
    let out = files.base.path().join("text.safetensors");
    run(&request(texts(&items), &out)).unwrap();
    let good = fs::read(&out).unwrap();
    let features = SafeTensors::deserialize(&good).unwrap().tensor("features").unwrap().data().as_ptr();
    let value = features as usize - good.as_ptr() as usize;
    let ids = good.windows(9).position(|w| w == b"\\\"x\\\",\\\"y").unwrap() + 2;
    let options = || PrepareOptions { features: vec![("text".into(), out.clone())], ..files.options(LOG) };
    for (at, bit) in [(value + 3, 0x40), (value + 17, 1), (ids, 2), (good.len() - 1, 1)] {
        let mut bad = good.clone();
        bad[at] ^= bit;
        fs::write(&out, &bad).unwrap();
        let text = files.error(&options());
        assert!(text.contains("text.safetensors: is damaged") && text.contains("`alike embed`"), "{text}");
        let report = run(&request(texts(&items), &out)).unwrap();
        assert_eq!((report.reused, report.encoded), (0, 3));
        assert!(report.notes[0].contains("text.safetensors was damaged"), "{:?}", report.notes);
        assert_eq!(fs::read(&out).unwrap(), good);
    }
    files.open(&options());
    // Files without a hash, of others and of earlier versions, are read as they are.
    let read = SafeTensors::deserialize(&good).unwrap();
    let views = ["features", "contents", "encoder"].map(|name| (name, read.tensor(name).unwrap()));
    let ids = "[\"x\", \"y\", \"w\", \"v\"]".to_string();
    let older = safetensors::serialize(views, Some([("ids".to_string(), ids)].into())).unwrap();
    fs::write(&out, older).unwrap();
    files.open(&options());
    let report = run(&request(texts(&items), &out)).unwrap();
    assert_eq!((report.reused, report.encoded, report.notes.len()), (3, 0, 0));
    assert_eq!(fs::read(&out).unwrap(), good);
}

#[test]
fn items_without_an_id_and_files_of_other_kinds_are_counted() {
    let files = Files::new();
    let out = files.base.path().join("out.safetensors");
    let items =
        files.write("items.csv", "id,title\nx,Red shirt\ny,Blue shirt\nw,Bread knife\nnan,Red\n,Knife\n");
    let report = run(&request(texts(&items), &out)).unwrap();
    assert_eq!((report.items, report.rows), (3, 3));
    assert_eq!(report.notes, ["2 rows have no item id (1 empty, 1 `nan`): left out"]);
    let folder = files.base.path().join("pictures");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("x.jfif"), picture(ImageFormat::Jpeg, 1)).unwrap();
    fs::write(folder.join("y.tga"), "tga").unwrap();
    let source = |items| EmbedSource::PictureFolder { folder: folder.clone(), items };
    let report = run(&request(source(None), &out)).unwrap();
    assert_eq!((report.items, report.rows), (1, 1));
    assert_eq!(report.notes, ["1 file of a kind that is not read: .tga"]);
    let items = files.write("two.csv", "id,title\nx,X\ny,Y\n");
    let report = run(&request(source(Some(items)), &out)).unwrap();
    assert!(
        report.left_out[0].reason.contains("y.tga is of a kind that is not read"),
        "{:?}",
        report.left_out
    );
}

#[test]
fn of_several_pictures_in_a_cell_the_first_is_encoded() {
    let files = Files::new();
    files.write("a.png", picture(ImageFormat::Png, 1));
    let items = files.write("items.csv", "id,image\nx,a.png|b.png\ny,\"a.png, b.png\"\n");
    let source = EmbedSource::PictureColumn { items, column: None, folder: None };
    let report = run(&request(source, &files.base.path().join("out.safetensors"))).unwrap();
    assert_eq!((report.rows, report.left_out.len()), (2, 0));
}

#[test]
fn a_work_file_of_somebody_else_is_left_alone() {
    let files = Files::new();
    let items = files.write("items.jsonl", ITEMS);
    let out = files.base.path().join("out.safetensors");
    for mine in ["mine", "a longer text of mine"] {
        let part = files.write("out.safetensors.part", mine);
        let text = run(&request(texts(&items), &out)).unwrap_err().to_string();
        assert!(text.contains("is no work file of `alike embed`"), "{text}");
        assert_eq!(fs::read(&part).unwrap(), mine.as_bytes());
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let files = Files::new();
    let out = files.base.path().join("out.safetensors");
    let says = |request: &EmbedRequest<'_>, what: &str| {
        let text = run(request).unwrap_err().to_string();
        assert!(text.contains(what) && text.lines().count() == 1, "{text}");
    };
    let items = files.write("items.jsonl", ITEMS);
    says(&request(texts(&items), &files.base.path().join("out.npy")), "a .safetensors file");
    says(&request(texts(Path::new("none.jsonl")), &out), "none.jsonl");
    let empty = files.write("empty.jsonl", "{\"id\": 1, \"title\": \" \"}\n");
    says(&request(texts(&empty), &out), "nothing to encode");
    let signs = files.write("signs.jsonl", "{\"id\": 1, \"title\": \"!!\"}\n");
    says(&request(texts(&signs), &out), "nothing to encode");
    let model = |tokenizer, source| {
        let encoder = EncoderChoice::Onnx { model: "m.onnx".into(), tokenizer, preprocess: None };
        EmbedRequest { encoder, ..request(source, &out) }
    };
    says(&model(None, texts(&items)), "--tokenizer");
    says(&model(Some("t.json".into()), texts(&items)), "m.onnx");
    let folder = files.base.path().join("none");
    says(&request(EmbedSource::PictureFolder { folder: folder.clone(), items: None }, &out), "none");
    fs::create_dir(&folder).unwrap();
    says(
        &request(EmbedSource::PictureFolder { folder: folder.clone(), items: None }, &out),
        "has no pictures",
    );
    fs::write(folder.join("1.png"), "x").unwrap();
    says(
        &request(EmbedSource::PictureFolder { folder: folder.clone(), items: None }, &out),
        "none of 1 items",
    );
    says(
        &model(None, EmbedSource::PictureFolder { folder, items: None }),
        "clip, resnet, siglip, squeezenet",
    );
    assert!(!out.exists() && !files.base.path().join("out.safetensors.part").exists());
}

#[test]
fn a_saved_encoder_is_opened_only_as_it_was() {
    let files = Files::new();
    let out = files.base.path().join("text.safetensors");
    run(&request(texts(&files.write("items.jsonl", ITEMS)), &out)).unwrap();
    let moved = files.base.path().join("moved");
    fs::create_dir(&moved).unwrap();
    for name in ["text.encoder.json", "text.encoder.safetensors"] {
        fs::rename(files.base.path().join(name), moved.join(name)).unwrap();
    }
    assert!(Encoder::open(&out).is_err());
    let encoder = Encoder::open(&moved.join("text.encoder.json")).unwrap();
    assert_eq!(encoder.text("Blue shirt linen").unwrap(), rows(&out)[1]);
    let weights = moved.join("text.encoder.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let text = Encoder::open(&moved.join("text.encoder.json")).err().unwrap().to_string();
    assert!(text.contains("has another content"), "{text}");
    fs::write(moved.join("text.encoder.json"), "{}").unwrap();
    assert!(Encoder::open(&moved.join("text.encoder.json")).is_err());
}
