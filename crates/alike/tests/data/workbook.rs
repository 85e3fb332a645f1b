//! Workbooks of Excel and of OpenDocument as interactions and as a catalogue.

use crate::data_files::*;
use alike::data::{PrepareOptions, SplitKind, prepare};
use proptest::prelude::*;

/// The log of a, b and c as a sheet, times as dates.
const SHEET: &str = "user id,Item ID,rating,date,x_label\n\
    a,21,5,date:45000.5,0\na,22,4,date:45001,1\na,23,3,date:45002,2\nb,22,5,date:45003,0\nb,23,4,date:45004,1\n\
    b,21,3,date:45005,2\nc,23,5,date:45006,0\nc,21,4,date:45007,1\nc,22,3,date:45008,2\n";

/// The same as programs of OpenDocument write dates.
fn open_document_sheet() -> String {
    let dates = (0..9).map(|day| format!("date:2023-03-{}", 15 + day));
    let serial = (0..9).map(|day| format!("date:{}", 45000 + day));
    let sheet = serial.zip(dates).fold(SHEET.to_string(), |sheet, (old, new)| sheet.replace(&old, &new));
    sheet.replace("15.5", "15T12:00:00")
}

fn options(files: &Files, content: &[u8]) -> PrepareOptions {
    let path = files.write("log.xlsx", content);
    PrepareOptions { split: SplitKind::Label, ..PrepareOptions::new(path, files.out()) }
}

#[track_caller]
fn assert_reads(content: &[u8]) {
    let files = Files::new();
    let (report, data) = files.open(&options(&files, content));
    assert_eq!((report.users, report.items, report.interactions, report.rows), (3, 3, [3, 3, 3], 9));
    assert_eq!(items_of(&data, &data.train, "b"), ["22"]);
}

#[track_caller]
fn refused(content: &[u8]) -> String {
    let files = Files::new();
    files.error(&options(&files, content))
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in: {text}"));
}

#[test]
fn a_sheet_is_a_table() {
    assert_reads(&xlsx::table(SHEET));
    // Rows above and between that are empty, and cells to the right that belong to no column.
    let (head, rows) = SHEET.split_once('\n').unwrap();
    assert_reads(&xlsx::table(&format!("\n\n{head}\n\n{}", rows.replace(",0\n", ",0,note\n\n"))));
    // Whole numbers are ids without a fraction, whatever the program keeps them as.
    assert_reads(&xlsx::table(&SHEET.replace(",22,", ",22.0,")));
    let inline = xlsx::rows(SHEET, &mut Vec::new())
        .replace("<c r=\"A2\" t=\"s\"><v>5</v></c>", "<c r=\"A2\" t=\"inlineStr\"><is><t>a</t></is></c>");
    let mut texts = Vec::new();
    xlsx::rows(SHEET, &mut texts);
    assert_reads(&xlsx::workbook(&[("Log", "", inline)], &texts));
}

#[test]
fn dates_are_times() {
    let files = Files::new();
    // The latest of everybody is the test.
    let latest = SHEET.replace("a,21,5,date:45000.5", "a,21,5,date:45002.75");
    let mut options = options(&files, &xlsx::table(&latest));
    options.split = SplitKind::LeaveOneOut;
    let data = files.open(&options).1;
    assert_eq!(items_of(&data, &data.test, "a"), ["21"]);
    let mixed = SHEET.replace("date:45004", "1404085274000");
    options.interactions = files.write("mixed.xlsx", xlsx::table(&mixed));
    assert_says(&files.error(&options), &["milliseconds", "seconds"]);
}

#[test]
fn the_first_sheet_that_is_shown_is_read_or_the_one_that_is_named() {
    let mut texts = Vec::new();
    let log = xlsx::rows(SHEET, &mut texts);
    let other = xlsx::rows("Handle,Title\n21,Red\n22,Blue\n", &mut texts);
    let files = Files::new();
    let hidden = [("Items", "state=\"hidden\"", other.clone()), ("Log &amp; more", "", log.clone())];
    let mut options = options(&files, &xlsx::workbook(&hidden, &texts));
    assert_eq!(files.open(&options).0.rows, 9);

    options.interactions =
        files.write("two.xlsx", xlsx::workbook(&[("Items", "", other), ("Log", "", log)], &texts));
    assert_says(
        &files.error(&options),
        &["no column looks like user ids", "`Items` was read", "`Log`", "--sheet NAME"],
    );
    options.text.sheet = Some("Log".into());
    // The catalogue is another sheet of the same workbook.
    options.items = Some(options.interactions.clone());
    let data = files.open(&options).1;
    assert_eq!(data.title(data.items.get("22").unwrap()), Some("Blue"));
    options.text.sheet = Some("Logs".into());
    assert_says(&files.error(&options), &["no sheet `Logs`", "`Items`, `Log`"]);
}

#[test]
fn hidden_rows_are_passed_over() {
    let mut texts = Vec::new();
    let more = format!("{SHEET}d,21,5,date:45000,0\nd,22,5,date:45000,0\n");
    let rows = xlsx::rows(&more, &mut texts)
        .replace("<row r=\"11\"", "<row hidden='1' r=\"11\"")
        .replace("<row r=\"12\"", "<row r=\"12\" hidden=\"true\"");
    // Another sheet hides other rows.
    let none = xlsx::rows("a,b\n1,2\n", &mut texts).replace("<row ", "<row hidden=\"1\" ");
    let book = xlsx::workbook(&[("Log", "", rows), ("Notes", "", none)], &texts);
    assert_reads(&book);
    let files = Files::new();
    let report = files.open(&options(&files, &book)).0;
    assert!(report.notes.iter().any(|n| n.starts_with("2 hidden rows of the sheet `Log`")), "{report}");
}

#[test]
fn a_hidden_header_is_named() {
    let mut texts = Vec::new();
    let rows = xlsx::rows(SHEET, &mut texts).replacen("<row r=\"1\"", "<row hidden=\"1\" r=\"1\"", 1);
    let says = ["not read above it: 1 hidden row", "show the header if it is hidden"];
    assert_says(&refused(&xlsx::workbook(&[("Log", "", rows)], &texts)), &says);
    let rows = ods::rows(&open_document_sheet()).replacen("row>", "row table:visibility=\"collapse\">", 1);
    assert_says(&refused(&ods::archive(&[("Log", false, rows)], "")), &says);
}

#[test]
fn a_sheet_without_a_header_loses_no_row() {
    let rows = SHEET.split_once('\n').unwrap().1;
    let files = Files::new();
    let mut options = options(&files, &xlsx::table(rows));
    assert_says(&files.error(&options), &["log.xlsx:1", "looks like data", "--no-header --columns"]);
    options.text.no_header = true;
    options.text.names = ["user", "item", "rating", "time", "x_label"].map(String::from).into();
    assert_eq!(files.open(&options).0.rows, 9);
    options.text.skip_lines = 2;
    options.interactions = files.write("log.xlsx", xlsx::table(&format!("Sales of May\n\n{rows}")));
    assert_eq!(files.open(&options).0.rows, 9);
}

#[test]
fn errors_in_cells_are_words_for_nothing() {
    let broken = "<c r=\"B2\" t=\"e\"><v>#N/A</v></c>";
    let mut texts = Vec::new();
    let rows = xlsx::rows(SHEET, &mut texts).replace("<c r=\"B2\"><v>21</v></c>", broken);
    assert!(rows.contains(broken));
    let files = Files::new();
    let mut options = options(&files, &xlsx::workbook(&[("Log", "", rows)], &texts));
    options.drop_missing = true;
    let report = files.open(&options).0;
    assert!(report.dropped.iter().any(|d| d.count == 1 && d.why.contains("`#N/A`")), "{report}");
}

#[test]
fn errors_in_cells_of_open_document_are_words_whatever_their_value() {
    let good = "office:value-type=\"float\" office:value=\"21\"><text:p>21</text:p>";
    let bad = "office:value-type=\"float\" office:value=\"0\" calcext:value-type=\"error\"><text:p>#DIV/0!</text:p>";
    let rows = ods::rows(&open_document_sheet());
    assert!(rows.contains(good));
    let files = Files::new();
    let mut options = options(&files, &ods::archive(&[("Log", false, rows.replacen(good, bad, 1))], ""));
    options.drop_missing = true;
    let report = files.open(&options).0;
    assert!(report.dropped.iter().any(|d| d.count == 1 && d.why.contains("`#DIV/0!`")), "{report}");
}

#[test]
fn other_tables_are_called_by_their_name() {
    assert_says(
        &refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old"),
        &["old Excel", "with a password", "save it as .xlsx"],
    );
    let start = [&b"PK\x03\x04"[..], &[0; 26], b"mimetypeapplication/vnd.oasis.opendocument."].concat();
    let text = [&start[..], b"text"].concat();
    assert_says(&refused(&text), &["OpenDocument file and no spreadsheet", "save its table as .ods or CSV"]);
    let cut = [&start[..], b"spreadsheet"].concat();
    assert_says(&refused(&cut), &["no spreadsheet of OpenDocument", "save the sheet as .xlsx or CSV"]);
    let cut = &cut[..60];
    assert_says(&refused(cut), &["no spreadsheet of OpenDocument", "save the sheet as .xlsx or CSV"]);
    let flat = b"<?xml version=\"1.0\"?><office:document xmlns:office=\"x\"><office:body/></office:document>";
    assert_says(&refused(flat), &["flat OpenDocument file (.fods)", "save it as .ods"]);
    let locked = ods::archive(&[], "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>");
    assert_says(&refused(&locked), &["locked with a password", "save it without one, or the sheet as CSV"]);
    let document =
        xlsx::zip(&[("[Content_Types].xml", "<Types/>".into()), ("word/document.xml", "<w/>".into())]);
    assert_says(&refused(&document), &["no Excel workbook", "save the sheet as CSV"]);
    assert_says(&refused(&xlsx::zip(&[("log.csv", SHEET.into())])), &["a zip archive", "unzip FILE"]);
    let whole = xlsx::table(SHEET);
    assert_says(&refused(&whole[..whole.len() / 2]), &["no Excel workbook", "save the sheet as CSV"]);
    assert_says(&refused(&xlsx::table("")), &["has nothing in its sheet `Log`"]);
}

#[test]
fn a_sheet_of_open_document_is_a_table() {
    let sheet = open_document_sheet();
    assert_reads(&ods::table(&sheet));
    assert_reads(&ods::table(&format!("\n\n{}", sheet.replace(",0\n", ",0,note\n\n"))));
    let files = Files::new();
    // The latest of everybody is the test.
    let latest = sheet.replace("2023-03-15T12:00:00", "2023-03-17T18:00:00");
    let mut dated = options(&files, &ods::table(&latest));
    dated.split = SplitKind::LeaveOneOut;
    let data = files.open(&dated).1;
    assert_eq!(items_of(&data, &data.test, "a"), ["21"]);
    // The first sheet that is shown, without its hidden rows.
    let more = ods::rows(&format!("{sheet}d,21,5,date:2023-03-15,0\n"));
    let at = more.rfind("<table:table-row>").unwrap();
    let more = more[..at].to_string() + &more[at..].replacen("row>", "row table:visibility=\"filter\">", 1);
    let items = ods::rows("Handle,Title\n21,Red\n22,Blue & green\n").replace(" & ", " &amp; ");
    let book = ods::archive(&[("Items", true, items), ("Log", false, more + ods::REST)], "");
    let mut shown = options(&files, &book);
    let report = files.open(&shown).0;
    assert_eq!(report.rows, 9);
    assert!(report.notes.iter().any(|n| n.starts_with("1 hidden row of the sheet `Log`")), "{report}");
    shown.text.sheet = Some("Items".into());
    assert_says(&files.error(&shown), &["no column looks like user ids", "`Items` was read", "`Log`"]);
    // As a catalogue the first sheet that is shown is read, too.
    shown.text.sheet = Some("Log".into());
    let items = ods::rows("Handle,Title\n21,Red\n22,Blue & green\n").replace(" & ", " &amp; ");
    shown.items = Some(files.write("items.ods", ods::archive(&[("Items", false, items)], "")));
    let data = files.open(&shown).1;
    assert_eq!(data.title(data.items.get("22").unwrap()), Some("Blue & green"));
}

#[test]
fn whole_numbers_that_lost_digits_are_no_ids() {
    let long = |sheet: &str| sheet.replace(",21,", ",9007199254740993,");
    let says = ["column `Item ID`", "more digits than a sheet keeps", "make it a column of text"];
    assert_says(&refused(&xlsx::table(&long(SHEET))), &says);
    assert_says(&refused(&ods::table(&long(&open_document_sheet()))), &says);
    // Users too; and the ids of a catalogue, while other numbers of it may be of any size.
    assert_says(&refused(&xlsx::table(&SHEET.replace("\na,", "\n1e18,"))), &["column `user id`"]);
    let files = Files::new();
    let mut options = options(&files, &xlsx::table(SHEET));
    let items = "Handle,Title,Cost\n21,9007199254740993,9007199254740993\n";
    options.items = Some(files.write("items.xlsx", xlsx::table(items)));
    files.open(&options);
    options.items =
        Some(files.write("items.ods", ods::table(&items.replace("\n21,", "\n9007199254740993,"))));
    options.out = files.base.path().join("again");
    assert_says(&files.error(&options), &["column `Handle`", "more digits"]);
    // As dates, too.
    assert_says(&refused(&xlsx::table(&SHEET.replace(",21,", ",date:9007199254740993,"))), &says);
    // As text they are ids.
    let rows = ods::rows(&long(&open_document_sheet()))
        .replace("office:value-type=\"float\" office:value=\"9007", "office:value-type=\"string\" x=\"9007");
    assert_reads(&ods::archive(&[("Log", false, rows)], ""));
    // Times are no ids.
    let nanoseconds = SHEET.replace("date:45000.5", "date:45000").replace("date:4500", "140408527400000000");
    assert_reads(&xlsx::table(&nanoseconds));
}

/// Reads the rows of a spreadsheet of OpenDocument, in which `a` has an item of its own for training.
#[track_caller]
fn assert_reads_rows(rows: String) {
    let content = ods::archive(&[("Log", false, rows)], "");
    assert_reads(&content);
    let files = Files::new();
    let data = files.open(&options(&files, &content)).1;
    assert_eq!(items_of(&data, &data.train, "a"), ["21"]);
}

#[test]
fn the_text_of_a_cell_of_open_document_is_all_that_it_shows_and_no_more() {
    let rows = ods::rows(&open_document_sheet());
    // Without a type.
    assert_reads_rows(rows.replace("office:value-type=\"string\"", ""));
    assert_reads_rows(
        rows.replace("office:value-type=\"float\" office:value=\"21\"", "table:style-name=\"x\""),
    );
    // With shapes and notes.
    let shape = "<draw:frame><draw:text-box><text:p>Shape</text:p></draw:text-box></draw:frame>";
    let note = "<office:annotation><dc:creator>me</dc:creator><text:p>Note</text:p></office:annotation>";
    let with = |text: &str| format!("{note}<text:p>{text}{shape}</text:p>{shape}");
    assert_reads_rows(
        rows.replace("<text:p>a</text:p>", &with("a")).replace("<text:p>user id</text:p>", &with("user id")),
    );
    // With room for people to read it.
    let wide = rows
        .replace("><", ">\n    <")
        .replace("<text:p>", "<text:p>\n      ")
        .replace("</text:p>", "\n    </text:p>");
    assert_reads_rows(wide);
}

#[test]
fn a_spreadsheet_that_was_packed_again_is_read() {
    let content = ods::content(&[("Log", false, ods::rows(&open_document_sheet()))]);
    let kind = ("mimetype", "application/vnd.oasis.opendocument.spreadsheet".to_string());
    let manifest = ("META-INF/manifest.xml", "<manifest:manifest/>".to_string());
    let content = ("content.xml", content);
    assert_reads(&xlsx::zip(&[kind.clone(), manifest.clone(), content.clone()]));
    assert_reads(&xlsx::zip(&[("Thumbnails/x.png", "x".into()), content.clone(), kind.clone()]));
    assert_reads(&xlsx::zip(&[content.clone(), manifest]));
    let text = ("mimetype", "application/vnd.oasis.opendocument.text\n".to_string());
    assert_says(&refused(&xlsx::zip(&[content.clone(), text])), &["OpenDocument file and no spreadsheet"]);
    assert_says(&refused(&xlsx::zip(&[content])), &["a zip archive", "unzip FILE"]);
    // A workbook of Excel may start with any of its parts, too.
    let mut texts = Vec::new();
    let rows = xlsx::rows(SHEET, &mut texts);
    let mut parts = xlsx::parts(&[("Log", "", rows)], &texts);
    parts.insert(0, ("customXml/item1.xml".into(), "<x/>".into()));
    let parts: Vec<(&str, String)> = parts.iter().map(|(n, c)| (n.as_str(), c.clone())).collect();
    assert_reads(&xlsx::zip(&parts));
}

#[test]
fn an_empty_sheet_names_the_others() {
    let says = ["has nothing in its sheet `Notes`", "of `Notes`, `Log`", "`--sheet NAME` reads another"];
    let mut texts = Vec::new();
    let log = xlsx::rows(SHEET, &mut texts);
    let book = xlsx::workbook(&[("Notes", "", String::new()), ("Log", "", log)], &texts);
    assert_says(&refused(&book), &says);
    let log = ods::rows(&open_document_sheet());
    assert_says(
        &refused(&ods::archive(&[("Notes", false, ods::REST.into()), ("Log", false, log)], "")),
        &says,
    );
    assert_says(&refused(&ods::archive(&[], "")), &["no sheet of cells"]);
}

#[test]
fn a_spreadsheet_that_is_cut_is_an_error() {
    let note = "<office:annotation><text:p>Note</text:p></office:annotation>";
    let whole = ods::content(&[("Log", false, ods::rows(&open_document_sheet()) + note)]);
    let within = whole.find("Note").unwrap();
    assert_says(&refused(&ods::packed(whole[..within].into(), "")), &["ends before its sheets do"]);
    let wide = ods::packed("<\0o\0/\0>\0".into(), "");
    assert_says(&refused(&wide), &["`content.xml` in UTF-16", "save the sheet as .xlsx or CSV"]);
    let open = whole.replace("</office:annotation>", "");
    assert_says(&refused(&ods::packed(open, "")), &["ends out of order", "save the sheet as .xlsx or CSV"]);
}

proptest! {
    /// Whatever becomes of the content, what comes back is data or one line.
    #[test]
    fn damaged_content_of_open_document_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"<>/\"'=&; a9-\xff!"[..])), 1..5),
    ) {
        let mut content = ods::content(&[("Log", false, ods::rows(&open_document_sheet()))]).into_bytes();
        for (place, byte) in changes {
            let place = place.index(content.len());
            content[place] = byte;
        }
        let content = String::from_utf8_lossy(&content).into_owned();
        let files = Files::new();
        if let Err(error) = prepare(&options(&files, &ods::packed(content, ""))) {
            prop_assert_eq!(error.to_string().lines().count(), 1, "{}", error);
        }
    }
}

#[test]
fn a_sheet_of_open_document_is_measured_while_it_is_read() {
    let sheet = open_document_sheet();
    let with = |repeats: &str| {
        let rows =
            ods::rows(&sheet).replacen("<table:table-cell ", &format!("<table:table-cell {repeats} "), 1);
        refused(&ods::archive(&[("Log", false, rows)], ""))
    };
    assert_says(
        &with("table:number-columns-repeated=\"many\""),
        &["is no number", "save the sheet as .xlsx"],
    );
    let above =
        "<table:table-row table:number-rows-repeated=\"1048570\"><table:table-cell/></table:table-row>";
    let large = refused(&ods::archive(&[("Log", false, above.to_string() + &ods::rows(&sheet))], ""));
    assert_says(&large, &["has a sheet of more than 1048576 rows", "save the sheet as .xlsx or CSV"]);
    let mut cut = ods::content(&[("Log", false, ods::rows(&sheet))]);
    cut.truncate(cut.rfind("<table:table-row").unwrap());
    assert_says(&refused(&ods::packed(cut, "")), &["ends before its sheets do", "save the sheet as .xlsx"]);
    assert_says(&with(&format!("table:x=\"{}\"", "x".repeat(70_000))), &["a tag of more than 65536 bytes"]);
}

/// Small files that ask for much memory.
#[test]
fn a_workbook_is_measured_before_it_is_read() {
    let with = |name: &str, change: &dyn Fn(&str) -> String| {
        let mut texts = Vec::new();
        let rows = xlsx::rows(SHEET, &mut texts);
        let mut parts = xlsx::parts(&[("Log", "", rows)], &texts);
        let part = parts.iter_mut().find(|(n, _)| n.ends_with(name)).unwrap();
        part.1 = change(&part.1);
        let parts: Vec<(&str, String)> = parts.iter().map(|(n, c)| (n.as_str(), c.clone())).collect();
        refused(&xlsx::zip(&parts))
    };
    let announced =
        with("sharedStrings.xml", &|xml| xml.replace("uniqueCount=\"", "uniqueCount=\"9999999999999"));
    assert_says(&announced, &["announces 9999999999999", "save the sheet as CSV"]);
    let long = "x".repeat(100_000);
    let styles = with("styles.xml", &|xml| {
        xml.replace("&quot; at &quot;", &long)
            .replace("<cellXfs>", &format!("<cellXfs>{}", "<xf numFmtId=\"170\"/>".repeat(1000)))
    });
    assert_says(&styles, &["styles of more than 64 MiB"]);
    let column = with("sheet1.xml", &|xml| xml.replace("r=\"E3\"", "r=\"ZZZZ3\""));
    assert_says(&column, &["no Excel workbook"]);
    let row = with("sheet1.xml", &|xml| xml.replace("<row r=\"9\"", "<row r=\"4000000000\""));
    assert_says(&row, &["more than 1048576 rows"]);
    let backwards = with("sheet1.xml", &|xml| xml.replace("r=\"A9\"", "r=\"A2\""));
    assert_says(&backwards, &["in no order"]);
}
