PRAGMA foreign_keys = ON;

-- The columns `json` are what pages are sent.
CREATE TABLE IF NOT EXISTS users (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(8)))),
  name TEXT NOT NULL UNIQUE COLLATE NOCASE CHECK (length(name) BETWEEN 1 AND 40),
  picture TEXT NOT NULL,
  json TEXT AS (json_object('id', id, 'name', name, 'picture', picture))
);
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users,
  expires INTEGER NOT NULL DEFAULT (unixepoch() + 30 * 86400)
);
CREATE TABLE IF NOT EXISTS boards (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(8)))),
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  owner TEXT NOT NULL REFERENCES users,
  json TEXT AS (json_object('id', id, 'name', name))
);
CREATE TABLE IF NOT EXISTS members (
  board TEXT NOT NULL REFERENCES boards,
  user TEXT NOT NULL REFERENCES users,
  PRIMARY KEY (board, user)
);
CREATE VIEW IF NOT EXISTS people AS
  SELECT board, json FROM members JOIN users ON id = user ORDER BY name;
CREATE TABLE IF NOT EXISTS cards (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  board TEXT NOT NULL REFERENCES boards,
  list TEXT NOT NULL CHECK (list IN ('todo', 'doing', 'done')),
  place REAL NOT NULL,
  text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 500),
  json TEXT AS (json_object('id', id, 'list', list, 'place', place, 'text', text))
);

-- The number of commits, and so the version of what the newest one has changed.
CREATE TABLE IF NOT EXISTS commits (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL);
INSERT OR IGNORE INTO commits VALUES (1, 0);
