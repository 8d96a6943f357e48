//! The commands of people on their boards, and the changes for others.

use nextrush::{BoxError, ErrorCode, ErrorMessage};
use rusqlite::Transaction;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::store::one;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Command {
    CreateBoard {
        name: String,
    },
    AddCard {
        board: String,
        list: String,
        text: String,
    },
    MoveCard {
        board: String,
        card: i64,
        list: String,
        /// Between those of its neighbours; without one it is the last.
        place: Option<f64>,
    },
    DeleteCard {
        board: String,
        card: i64,
    },
    Invite {
        board: String,
        name: String,
    },
    Remove {
        board: String,
        user: String,
    },
}

/// Something that others have to know of.
pub(crate) enum Change {
    /// The update of a channel.
    Update(String, Value),
    /// A user who may not follow a channel any more.
    Removed(String, String),
}

pub(crate) const BOARD: &str = "SELECT json_object('name', name, 'owner', owner,
    'members', (SELECT json_group_array(json(json)) FROM people WHERE board = ?1),
    'cards', (SELECT json_group_array(json(json)) FROM cards WHERE board = ?1))
    FROM boards WHERE id = ?1";
const MEMBERS: &str = "SELECT json_group_array(json(json)) FROM people WHERE board = ?1";
pub(crate) const BOARDS: &str = "SELECT json_group_array(json(json)) FROM
    (SELECT json FROM boards JOIN members ON board = id WHERE user = ?1 ORDER BY name)";
pub(crate) const IS_MEMBER: &str =
    "SELECT EXISTS (SELECT 1 FROM members WHERE board = ?1 AND user = ?2)";

impl Command {
    /// Executes it for a user, in a transaction.
    pub(crate) fn execute(self, db: &Transaction<'_>, user: &str) -> Result<Vec<Change>, BoxError> {
        match self {
            Self::CreateBoard { name } => {
                let sql = "INSERT INTO boards (name, owner) VALUES (?1, ?2) RETURNING id";
                let board: String = one(db, sql, (name, user))?;
                db.execute("INSERT INTO members VALUES (?1, ?2)", (board, user))?;
                Ok(vec![boards(db, user)?])
            }
            Self::AddCard { board, list, text } => {
                demand_member(db, &board, user)?;
                let sql = "INSERT INTO cards (board, list, text, place)
                    SELECT ?1, ?2, ?3, 1 + coalesce(max(place), 0) FROM cards WHERE board = ?1
                    RETURNING json";
                Ok(vec![card(&board, one(db, sql, (&board, list, text))?)])
            }
            Self::MoveCard {
                board,
                card: id,
                list,
                place,
            } => {
                demand_member(db, &board, user)?;
                let sql = "UPDATE cards SET list = ?3, place = coalesce(?4, (SELECT 1 + max(place)
                    FROM cards WHERE board = ?1)) WHERE board = ?1 AND id = ?2 RETURNING json";
                Ok(vec![card(&board, one(db, sql, (&board, id, list, place))?)])
            }
            Self::DeleteCard { board, card: id } => {
                demand_member(db, &board, user)?;
                let sql = "DELETE FROM cards WHERE board = ?1 AND id = ?2
                    RETURNING json_object('id', id, 'list', NULL)";
                Ok(vec![card(&board, one(db, sql, (&board, id))?)])
            }
            Self::Invite { board, name } => {
                demand_member(db, &board, user)?;
                let invited: String = one(db, "SELECT id FROM users WHERE name = ?1", [name])?;
                let sql = "INSERT OR IGNORE INTO members VALUES (?1, ?2)";
                db.execute(sql, (&board, &invited))?;
                Ok(vec![members(db, &board)?, boards(db, &invited)?])
            }
            Self::Remove {
                board,
                user: removed,
            } => {
                // The owner removes others, and whoever is not the owner may leave.
                let sql = "DELETE FROM members WHERE board = ?1 AND user = ?2 AND EXISTS
                    (SELECT 1 FROM boards WHERE id = ?1 AND owner <> ?2 AND ?3 IN (owner, ?2))";
                if db.execute(sql, (&board, &removed, user))? == 0 {
                    return Err(ErrorMessage::new(ErrorCode::Forbidden, "That is not yours").into());
                }
                let (members, boards) = (members(db, &board)?, boards(db, &removed)?);
                let removed = Change::Removed(format!("board-{board}"), removed);
                Ok(vec![removed, members, boards])
            }
        }
    }
}

fn demand_member(db: &Transaction<'_>, board: &str, user: &str) -> Result<(), BoxError> {
    match one(db, IS_MEMBER, [board, user])? {
        true => Ok(()),
        false => Err(ErrorMessage::new(ErrorCode::Forbidden, "This is not your board").into()),
    }
}

fn card(board: &str, card: Value) -> Change {
    Change::Update(format!("board-{board}"), json!({ "card": card }))
}

fn members(db: &Transaction<'_>, board: &str) -> Result<Change, BoxError> {
    let members: Value = one(db, MEMBERS, [board])?;
    let update = json!({ "members": members });
    Ok(Change::Update(format!("board-{board}"), update))
}

fn boards(db: &Transaction<'_>, user: &str) -> Result<Change, BoxError> {
    Ok(Change::Update(
        format!("user:{user}"),
        one(db, BOARDS, [user])?,
    ))
}

/// Counts a commit; its number.
pub(crate) fn commit(db: &Transaction<'_>) -> Result<u64, BoxError> {
    let sql = "UPDATE commits SET number = number + 1 RETURNING number";
    Ok(one::<i64>(db, sql, [])?.try_into()?)
}
