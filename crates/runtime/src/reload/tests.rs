use std::os::unix::fs::symlink;

use super::*;

/// A value of two files, which are good if they are equal.
fn pair(folder: &Path) -> anyhow::Result<Reloaded<Vec<u8>>> {
    let paths = vec![folder.join("a"), folder.join("b")];
    Reloaded::load("the pair", paths, IntCounter::new("bad", "bad")?, |contents| match contents {
        [a, b] if a == b => Ok(a.clone()),
        _ => Err(anyhow!("they are different")),
    })
}

/// Polls, and returns whether the value has changed, and how many changes were bad.
fn poll(pair: &mut Reloaded<Vec<u8>>, values: &mut watch::Receiver<Vec<u8>>) -> (bool, u64) {
    pair.on_poll(read_all(&pair.paths));
    let changed = values.has_changed().unwrap_or(false);
    values.mark_unchanged();
    (changed, pair.bad.get())
}

#[test]
fn a_change_is_loaded_once_all_files_have_changed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    write("a", "1")?;
    write("b", "1")?;
    let mut pair = pair(folder.path())?;
    let mut values = pair.value();
    let mut look = || poll(&mut pair, &mut values);
    assert_eq!([look(), look()], [(false, 0), (false, 0)]);
    write("a", "2")?;
    assert_eq!(look(), (false, 0), "the other one may be on its way");
    write("b", "2")?;
    assert_eq!([look(), look(), look()], [(false, 0), (true, 0), (false, 0)]);
    write("b", "3")?;
    assert_eq!([look(), look(), look()], [(false, 0), (false, 1), (false, 1)]);
    fs::remove_file(folder.path().join("a"))?;
    assert_eq!([look(), look(), look()], [(false, 1), (false, 2), (false, 2)]);
    write("a", "3")?;
    assert_eq!([look(), look()], [(false, 2), (true, 2)]);
    assert_eq!(*values.borrow(), b"3");
    Ok(())
}

#[test]
fn the_symlink_swap_of_a_mounted_secret_is_a_change() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let swap = |name: &str| -> io::Result<()> {
        fs::create_dir(folder.path().join(name))?;
        for file in ["a", "b"] {
            fs::write(folder.path().join(name).join(file), name)?;
        }
        symlink(name, folder.path().join("..data_tmp"))?;
        fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data"))
    };
    swap("..one")?;
    for file in ["a", "b"] {
        symlink(format!("..data/{file}"), folder.path().join(file))?;
    }
    let mut pair = pair(folder.path())?;
    let mut values = pair.value();
    swap("..two")?;
    assert_eq!([poll(&mut pair, &mut values), poll(&mut pair, &mut values)], [(false, 0), (true, 0)]);
    assert_eq!(*values.borrow(), b"..two");
    Ok(())
}

#[test]
fn what_cannot_be_read_is_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("file");
    let why = || read_all(std::slice::from_ref(&path)).unwrap_err();
    assert!(why().contains("file cannot be read: No such file"), "{}", why());
    File::create(&path)?.set_len(MAX_BYTES + 1)?;
    assert!(why().contains("it has more than 1048576 bytes"), "{}", why());
    fs::remove_file(&path)?;
    fs::create_dir(&path)?;
    assert!(why().contains("it is no regular file"), "{}", why());
    Ok(())
}
