-- Format 2. What stable did before a rollout began, as JSON; empty: no alarm of
-- the member compares with it, or nothing was measured.

ALTER TABLE members ADD COLUMN baseline TEXT NOT NULL DEFAULT '';
