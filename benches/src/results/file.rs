//! `results.json`: written whole or not at all, and read back with words about what is wrong with it.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Results, SCHEMA};
use crate::Error;

/// Its name in a run's folder.
pub const FILE: &str = "results.json";

impl Results {
    /// Writes the file into a folder. Whoever reads it meanwhile has the one before.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, Error> {
        let path = folder.join(FILE);
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.as_file().set_permissions(Permissions::from_mode(0o644))?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }

    /// Reads the file, given itself or its folder.
    ///
    /// # Errors
    /// There is none, it is not one, or it is of a later schema.
    pub fn load(path: &Path) -> Result<Results, Error> {
        let path = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            format!("cannot read {}: {error}; `kube-verdict-bench run -o DIR` writes one", path.display())
        })?;
        Results::parse(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn parse(text: &str) -> Result<Results, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
        match value.get("schema").and_then(Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(schema) => {
                return Err(format!(
                    "schema {schema} is not the {SCHEMA} that this programme reads: use the one that wrote it"
                ));
            }
            None => return Err("it has no `schema`: this is not a benchmark's results".into()),
        }
        serde_json::from_value(value).map_err(|error| format!("not as the schema says: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_from_file_and_folder() {
        let folder = tempfile::tempdir().unwrap();
        let results =
            Results { schema: SCHEMA, started: "2026-11-21T12:00:00Z".into(), ..Results::default() };
        let path = results.save(folder.path()).unwrap();
        assert_eq!(Results::load(&path).unwrap(), results);
        assert_eq!(Results::load(folder.path()).unwrap(), results);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn other_files_are_told_apart() {
        assert!(Results::parse("{").unwrap_err().contains("not JSON"));
        assert!(Results::parse("{}").unwrap_err().contains("not a benchmark's results"));
        assert!(Results::parse("{\"schema\": 99}").unwrap_err().contains("schema 99"));
        assert!(Results::parse("{\"schema\": 1}").unwrap_err().contains("started"));
    }
}
