//! Whether a file is a store of this program, before anything is written to it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::serve::store::{Result, StoreError};

/// What the header of our files says: `alik`. SQLite keeps the number for programs to know their files by.
pub(super) const APPLICATION: i64 = 0x616c_696b;
/// The table of events as the first version has it; its files do not say whose they are.
const COLUMNS: [&str; 6] = ["seq", "user", "item", "kind", "time", "key"];

/// A connection to a file that is there, by which nothing is written; a lock is waited for `wait`.
pub(super) fn reader(path: &Path, wait: Duration) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(wait)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// An error unless the file is empty or a store of this program, of whatever version. Nothing is written to
/// it.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<()> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // Closing would bring what another program has in its log to its file.
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let keeps_log = Path::new(&log).exists();
    let flag = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(flag, keeps_log)?;
    let names = |query: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    };
    let tables = names(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name",
    )?;
    let ours = match (number("application_id")?, number("user_version")?) {
        (APPLICATION, _) => true,
        (0, 0) => tables.is_empty(),
        (0, 1) => tables == ["events"] && names("SELECT name FROM pragma_table_info('events')")? == COLUMNS,
        _ => false,
    };
    if !ours {
        let what = match tables.as_slice() {
            [] => "no tables".into(),
            [some @ .., last] if some.len() < 3 => [some, std::slice::from_ref(last)].concat().join(", "),
            many => format!("{} tables", many.len()),
        };
        return Err(StoreError::Failed(format!(
            "is a database of another program ({what}), and was left as it is; name a file that is new, or a store \
             of alike's: --store sqlite:FILE"
        )));
    }
    Ok(connection.set_db_config(flag, false).map(drop)?)
}
