use super::*;
use crate::data::formats::workbook::tags::Tags;

/// Cells as row, column and text.
type Texts = Vec<(u32, u32, String)>;

/// What comes of content that is fed in blocks of so many bytes: the cells of the sheet `a`, and the state in
/// the end.
fn fed(xml: &str, step: usize) -> Result<(Texts, SheetContent), String> {
    let (mut tags, mut content) = (Tags::default(), SheetContent::of_sheet(0));
    let (mut cells, mut text) = (Vec::new(), String::new());
    // One tag at a time, as the file is read.
    for block in xml.as_bytes().chunks(step).flat_map(|block| block.split_inclusive(|&c| c == b'>')) {
        let mut outcome = Ok(());
        tags.feed(block, &mut |piece| {
            if outcome.is_ok() {
                outcome = content.add(piece);
            }
        });
        outcome?;
        while let Some(cell) = content.next_cell(&mut text) {
            cells.push((cell.row, cell.column, text.clone()));
        }
    }
    Ok((cells, content))
}

/// The content of a spreadsheet with these rows in its first sheet.
fn document(rows: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><office:document-content><office:body><office:spreadsheet>\
         <table:table table:name=\"a\">{rows}</table:table><table:table table:name='b &amp; c'/>\
         </office:spreadsheet></office:body></office:document-content>"
    )
}

fn cells_of(rows: &str) -> Result<Texts, String> {
    let whole = fed(&document(rows), usize::MAX)?;
    for step in [1, 7] {
        assert_eq!(fed(&document(rows), step)?.0, whole.0, "in blocks of {step}");
    }
    assert!(whole.1.is_past && whole.1.is_complete);
    assert_eq!(whole.1.sheets, [("a".to_string(), true), ("b & c".to_string(), true)]);
    Ok(whole.0)
}

/// The text of a cell.
#[track_caller]
fn assert_text(cell: &str, text: &str) {
    let cells = cells_of(&row("", cell)).unwrap();
    let found: Vec<&str> = cells.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(found, if text.is_empty() { vec![] } else { vec![text] }, "{cell}");
}

fn row(attributes: &str, cells: &str) -> String {
    format!("<table:table-row {attributes}>{cells}</table:table-row>")
}

fn cell(attributes: &str, content: &str) -> String {
    format!("<table:table-cell {attributes}>{content}</table:table-cell>")
}

const CELL: &str = "<table:table-cell office:value-type=\"string\"><text:p>a</text:p></table:table-cell>";
const EMPTY: &str = "<table:table-cell table:number-columns-repeated=\"16384\"/>";

#[test]
fn what_is_repeated_is_written_out() {
    let twice = "<table:table-cell table:number-columns-repeated='2'/>";
    let rows = [
        row("table:number-rows-repeated=\"4\"", EMPTY),
        row(
            "table:number-rows-repeated='2'",
            &(twice.to_string()
                + &CELL
                    .replace("office:value-type", "table:number-columns-repeated=\"2\" office:value-type")
                + EMPTY),
        ),
        // As programs end a sheet.
        row("table:number-rows-repeated=\"1048570\"", EMPTY),
    ];
    let places = [(4, 2), (4, 3), (5, 2), (5, 3)];
    assert_eq!(cells_of(&rows.concat()).unwrap(), places.map(|(row, column)| (row, column, "a".to_string())));
}

#[test]
fn groups_of_rows_are_rows_and_drawings_are_none() {
    let drawing = "<table:shapes><draw:frame><table:table table:name='x'><table:table-row>\
                   <table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table>\
                   </draw:frame></table:shapes><office:forms form:x='1'><form:form/></office:forms>";
    let covered = "<table:covered-table-cell><text:p>b</text:p></table:covered-table-cell>";
    let groups = format!(
        "{drawing}<table:table-column/><table:table-header-rows>{}</table:table-header-rows>\
         <table:table-row-group><table:table-rows>{}</table:table-rows></table:table-row-group>",
        row("", CELL),
        row("table:visibility=\"collapse\"", covered)
    );
    assert_eq!(cells_of(&groups).unwrap(), [(0, 0, "a".to_string()), (1, 0, "b".to_string())]);
}

#[test]
fn the_value_of_a_cell_is_in_its_tag_or_in_its_paragraphs() {
    for (attributes, text) in [
        ("office:value-type='float' office:value='21.0'", "21"),
        ("office:value-type='float' office:value='2.5E-1'", "0.25"),
        ("office:value-type='float' office:value='?'", "shown"),
        ("office:value-type='date' office:date-value='2023-03-15'", "2023-03-15"),
        ("office:value-type='boolean' office:boolean-value='TRUE'", "true"),
        ("office:value-type='string' office:string-value='a &lt;&#10;b'", "a <\nb"),
        ("calcext:value-type='error' office:value-type='string' office:string-value=''", "shown"),
        ("office:value-type='float' office:value='0' calcext:value-type='error'", "shown"),
        ("calcext:value-type='error' office:value-type='string' office:string-value='0'", "shown"),
        ("office:value-type='string'", "shown"),
        ("table:style-name='x'", "shown"),
        ("", "shown"),
    ] {
        assert_text(&cell(attributes, "<text:p>shown</text:p>"), text);
    }
    let lost =
        |value: &str| OdsCell::new(&format!("table:table-cell office:value='{value}'")).unwrap().lost_digits;
    assert!(["9007199254740993", "9.00719925474099E+18", "-1e20"].iter().all(|value| lost(value)));
    assert!(!["9007199254740991", "1e15", "0.1", "?"].iter().any(|value| lost(value)));
}

#[test]
fn the_text_of_a_cell_is_that_of_its_own_paragraphs() {
    let shape = "<draw:frame><draw:text-box><text:p>Shape<text:s/></text:p></draw:text-box></draw:frame>";
    let note = "<office:annotation><dc:date>2024</dc:date><text:p>Note</text:p></office:annotation>";
    let table = "<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table>";
    for (content, text) in [
        ("<text:p>a</text:p><text:h>b</text:h>".to_string(), "a\nb"),
        (format!("{note}<text:p>a</text:p>{shape}"), "a"),
        (format!("{shape}<text:p>a{note}b{shape}</text:p>{table}"), "ab"),
        (format!("<text:p>{note}</text:p>{shape}<draw:line/>"), ""),
        ("<text:p><text:span>a</text:span> <text:a xlink:href='x'>b</text:a></text:p>".into(), "a b"),
        ("<text:list><text:list-item><text:p>a</text:p></text:list-item></text:list>".into(), "a"),
        ("<text:p>a<text:s text:c=\"2\"/>b<text:tab/>c<text:line-break/>d</text:p>".into(), "a  b\tc\nd"),
        ("<text:p>&lt;&amp;&#252;<![CDATA[<b> &amp;]]><!-- no -->&amp;</text:p>".into(), "<&ü<b> &amp;&"),
        ("\n  <text:p>\n    a\n    b <text:s/>c\n  </text:p>\n".into(), "a b  c"),
        ("text without a paragraph".into(), ""),
    ] {
        assert_text(&cell("", &content), text);
    }
}

#[test]
fn sheets_are_hidden_by_their_style() {
    let style = |name: &str, shown: bool| {
        format!(
            "<style:style style:name='{name}'><style:table-properties table:display='{shown}'/></style:style>"
        )
    };
    let sheet =
        |name: &str, style: &str| format!("<table:table table:name='{name}' table:style-name='{style}'/>");
    let xml = format!(
        "<o>{}{}{}{}{}</o>",
        style("x", false),
        style("y", true),
        sheet("1", "x"),
        sheet("2", "y"),
        sheet("3", "")
    );
    let sheets = fed(&xml, usize::MAX).unwrap().1.sheets;
    assert_eq!(sheets, [("1".to_string(), false), ("2".to_string(), true), ("3".to_string(), true)]);
}

#[test]
fn small_files_that_come_to_much_are_refused() {
    #[track_caller]
    fn says(rows: &str, text: &str) {
        let said = fed(&document(rows), usize::MAX).map(drop).unwrap_err();
        assert!(said.contains(text), "{said}");
    }
    let repeated = |count: u32, text: &str| {
        cell(&format!("table:number-columns-repeated='{count}'"), &format!("<text:p>{text}</text:p>"))
    };
    says(&row("table:number-rows-repeated='5000'", &repeated(16384, "a")), "more than 67108864 cells");
    says(&(row("table:number-rows-repeated='9999999'", "") + &row("", CELL)), "more than 1048576 rows");
    says(&row(&format!("table:number-rows-repeated='{}'", u64::MAX), CELL), "more than 1048576 rows");
    says(&row("", &repeated(16385, "a")), "a row of more than 16384 cells");
    says(&row("", &(EMPTY.repeat(2) + CELL)), "a row of more than 16384 cells");
    says(&row("", &repeated(9000, &"a".repeat(2000))), "a row of more than 16 MiB");
    let long = repeated(1, &"a".repeat(100_000));
    says(&row("table:number-rows-repeated='50000'", &long), "texts of more than 4096 MiB");
    says(&row("", &cell("", "<text:p><text:s text:c='99999999'/></text:p>")), "a cell of more than 16 MiB");
    says(&row("", &repeated(1, &"a".repeat(17 << 20))), "a cell of more than 16 MiB");
    for number in ["&#57;", "", "-1", "many"] {
        let bad = cell(&format!("table:number-columns-repeated=\"{number}\""), "");
        says(&row("", &bad), "`number-columns-repeated` that is no number");
    }
    says(&"<table:table-rows>".repeat(50_000), "elements in elements");
}

#[test]
fn damaged_content_is_an_error() {
    let cut = |rows: &str| fed(&document(rows), usize::MAX).map(drop).unwrap_err();
    let note = "<table:table-row><table:table-cell><office:annotation><text:p>no";
    assert!(cut(note).contains("`table:table` ends out of order"));
    assert!(cut("<table:table-row>").contains("`table:table` ends out of order"));
    assert!(cut("</table:table>").contains("`table:table` ends out of order"));
    let whole = document(&row("", CELL));
    let before = &whole[..whole.find("a</text").unwrap()];
    assert!(!fed(before, usize::MAX).unwrap().1.is_complete);
    let (mut tags, mut content) = (Tags::default(), SheetContent::of_sheet(0));
    let mut outcome = Ok(());
    for block in [before.as_bytes(), b"M\xfcller</text:p>"] {
        tags.feed(block, &mut |piece| {
            if outcome.is_ok() {
                outcome = content.add(piece);
            }
        });
    }
    assert!(outcome.unwrap_err().contains("not UTF-8"));
}
