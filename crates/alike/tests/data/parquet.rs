//! Parquet as warehouses write it.

use std::path::PathBuf;

use crate::data_files::*;
use alike::data::PrepareOptions;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{
    ArrayRef, BinaryArray, Decimal128Array, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// [`NUMBERED`] as a Parquet file whose ids are what `ids` makes of them.
fn numbered(files: &Files, ids: impl Fn(Vec<i64>) -> ArrayRef, compression: Compression) -> PathBuf {
    let rows: Vec<Vec<i64>> =
        NUMBERED.lines().skip(1).map(|l| l.split('\t').map(|v| v.parse().unwrap()).collect()).collect();
    let of = |c: usize| rows.iter().map(|r| r[c]).collect::<Vec<i64>>();
    let columns =
        [("user_id", ids(of(0))), ("item_id", ids(of(1))), ("x_label", column(Int64Array::from(of(2))))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = files.base.path().join("log.parquet");
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

#[track_caller]
fn assert_numbered(files: &Files, path: PathBuf) {
    let (report, data) = files.open(&PrepareOptions {
        split: alike::data::SplitKind::Auto,
        ..PrepareOptions::new(path, files.out())
    });
    assert_eq!((&*report.split, report.interactions), ("label", [3, 3, 3]));
    assert_eq!(items_of(&data, &data.train, "1"), ["1"]);
    assert_eq!(data.items.names().collect::<Vec<_>>(), ["0", "1", "2"]);
}

#[test]
fn every_compression_is_read() {
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ] {
        let files = Files::new();
        let path = numbered(&files, |ids| column(Int64Array::from(ids)), compression);
        assert_numbered(&files, path);
    }
}

#[test]
fn whole_numbers_are_ids_whatever_holds_them() {
    let kinds: [fn(Vec<i64>) -> ArrayRef; 4] = [
        |ids| column(Float64Array::from_iter_values(ids.iter().map(|&i| i as f64))),
        |ids| column(BinaryArray::from_iter_values(ids.iter().map(i64::to_string))),
        |ids| {
            let all = Decimal128Array::from_iter_values(ids.iter().map(|&i| i.into()));
            column(all.with_precision_and_scale(38, 0).unwrap())
        },
        |ids| {
            let all = Decimal128Array::from_iter_values(ids.iter().map(|&i| i128::from(i) * 100));
            column(all.with_precision_and_scale(10, 2).unwrap())
        },
    ];
    for ids in kinds {
        let files = Files::new();
        let path = numbered(&files, ids, Compression::SNAPPY);
        assert_numbered(&files, path);
    }
}

#[test]
fn a_list_is_no_id() {
    let files = Files::new();
    let lists = |ids: Vec<i64>| {
        let each = ids.iter().map(|&i| Some(vec![Some(i), Some(i + 1)]));
        column(ListArray::from_iter_primitive::<Int64Type, _, _>(each))
    };
    let log = numbered(&files, lists, Compression::SNAPPY);
    let text = files.error(&PrepareOptions::new(log, files.out()));
    assert!(text.contains("column `user_id` holds lists; write a row for each entry"), "{text}");
    // Categories of a catalogue may be lists, its ids not.
    let texts = || column(StringArray::from(vec!["x", "y", "z"]));
    let items = |id: ArrayRef| {
        parquet_file(
            &files.base.path().join("items.parquet"),
            vec![("item_id", id), ("title", texts()), ("category", lists(vec![1, 2, 3]))],
        )
    };
    let good = PrepareOptions { items: Some(items(texts())), ..files.options(LOG) };
    assert_eq!(files.open(&good).1.catalogue.category(0), Some("1, 2"));
    let text =
        files.error(&PrepareOptions { items: Some(items(lists(vec![1, 2, 3]))), ..files.options(LOG) });
    assert!(text.contains("column `item_id` holds lists"), "{text}");
}

/// Features of items x, y, z in lists, with nothing for y.
fn lists() -> ArrayRef {
    let rows = vec![Some(vec![Some(1.0), Some(2.0)]), None, Some(vec![Some(5.0), Some(6.0)])];
    column(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

#[test]
fn a_null_vector_is_no_vector() {
    let ids = || column(StringArray::from(vec!["x", "y", "z"]));
    let gap = |of: [f32; 2]| column(Float32Array::from(vec![Some(of[0]), None, Some(of[1])]));
    for (columns, no_row) in [
        (vec![("item", ids()), ("v", lists())], 1),
        (vec![("item", ids()), ("a", gap([1.0, 5.0])), ("b", gap([2.0, 6.0]))], 1),
        (vec![("v", lists())], 0),
    ] {
        let files = Files::new();
        let path = parquet_file(&files.base.path().join("m.parquet"), columns);
        let mut options = files.options(LOG);
        if no_row == 0 {
            options.feature_ids = vec![("m".into(), files.write("ids.txt", "x\ny\nz\n"))];
        }
        options.features = vec![("m".into(), path)];
        let (report, data) = files.open(&options);
        assert_eq!((report.features[0].missing, report.features[0].no_row), (1, no_row));
        assert_eq!(data.features[0].values(), [1.0, 2.0, 0.0, 0.0, 5.0, 6.0]);
        assert_eq!(data.features[0].missing, [false, true, false]);
    }
    let files = Files::new();
    let half = column(Float32Array::from(vec![1.0, 2.0, 3.0]));
    let columns = vec![("item", ids()), ("a", gap([1.0, 5.0])), ("b", half)];
    let path = parquet_file(&files.base.path().join("m.parquet"), columns);
    let text = files.error(&PrepareOptions { features: vec![("m".into(), path)], ..files.options(LOG) });
    assert!(text.contains("row 2: a value is null, but not all"), "{text}");
}

#[test]
fn a_schema_made_to_exhaust_the_stack_is_refused() {
    // A footer whose every element has one child, 20,000 deep.
    let levels = 20_000u32;
    let mut footer = vec![0x15, 2, 0x19, 0xfc, 0xa0, 0x9c, 0x01];
    for level in 0..levels {
        footer.extend([0x48, 1, b'x', 0x15, if level + 1 < levels { 2 } else { 0 }, 0]);
    }
    footer.push(0);
    let size = (footer.len() as u32).to_le_bytes();
    let content = [&b"PAR1"[..], &footer, &size, b"PAR1"].concat();
    let files = Files::new();
    let path = files.write("deep.parquet", content);
    let cases = [
        PrepareOptions::new(&path, files.out()),
        PrepareOptions { features: vec![("m".into(), path.clone())], ..files.options(LOG) },
        PrepareOptions { items: Some(path.clone()), ..files.options(LOG) },
    ];
    for options in cases {
        let text = files.error(&options);
        assert!(text.contains("deep.parquet") && text.contains("deeper than 64"), "{text}");
    }
}

#[test]
fn ids_that_take_no_room_are_refused() {
    for descr in ["<U0", "|S0"] {
        let files = Files::new();
        let ids = npy(descr, false, &[1 << 40], &[]);
        let archive = npz(&[("ids", ids), ("v", npy_f32(3, 1, &[1.0; 3]))]);
        let features = vec![("m".into(), files.write("m.npz", archive))];
        let text = files.error(&PrepareOptions { features, ..files.options(LOG) });
        assert!(text.contains("array `ids`") && text.contains("hold nothing"), "{text}");
    }
    // Names beside Python objects have a way out.
    let files = Files::new();
    let archive = npz(&[("ids", npy("|O", false, &[3], &[0; 24])), ("v", npy_f32(3, 1, &[1.0; 3]))]);
    let features = vec![("m".into(), files.write("m.npz", archive))];
    let text = files.error(&PrepareOptions { features, ..files.options(LOG) });
    assert!(text.contains("Python objects") && text.contains("astype(str)"), "{text}");
}

/// [`LOG`]'s pairs with ids of 16 bytes, which the file calls UUIDs or does not.
fn of_bytes(files: &Files, kind: &str) -> PathBuf {
    use parquet::data_type::{ByteArray, FixedLenByteArray, FixedLenByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    let id = |name: &str| format!("REQUIRED FIXED_LEN_BYTE_ARRAY(16) {name} {kind};");
    let message = format!("message log {{ {} {} REQUIRED INT64 x_label; }}", id("user"), id("item"));
    let path = files.base.path().join("bytes.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let schema = std::sync::Arc::new(parse_message_type(&message).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let bytes =
        |first: u8| FixedLenByteArray::from(ByteArray::from([[first; 1], [0xff; 1]].concat().repeat(8)));
    let pairs: Vec<(u8, u8, i64)> =
        (0..9u8).map(|n| (n / 3, 0xa0 + (n + n / 3) % 3, i64::from(n % 3))).collect();
    for ids in
        [pairs.iter().map(|p| bytes(p.0)).collect::<Vec<_>>(), pairs.iter().map(|p| bytes(p.1)).collect()]
    {
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<FixedLenByteArrayType>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
    }
    let mut column = rows.next_column().unwrap().unwrap();
    let labels: Vec<i64> = pairs.iter().map(|p| p.2).collect();
    column.typed::<parquet::data_type::Int64Type>().write_batch(&labels, None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn uuids_are_ids_as_they_are_usually_written() {
    let files = Files::new();
    let options = PrepareOptions {
        split: alike::data::SplitKind::Label,
        ..PrepareOptions::new(of_bytes(&files, "(UUID)"), files.out())
    };
    let (report, data) = files.open(&options);
    assert_eq!((report.users, report.items), (3, 3));
    assert_eq!(data.items.names().next(), Some("a0ffa0ff-a0ff-a0ff-a0ff-a0ffa0ffa0ff"));
    // Other bytes may be anything.
    let options = PrepareOptions { interactions: of_bytes(&files, ""), ..options };
    let text = files.error(&options);
    assert!(text.contains("column `user` holds bytes that are not UTF-8 text; write them as text"), "{text}");
}
