-- Version 3: an output may come in several parts, where the whole would not fit.

ALTER TABLE job ADD COLUMN targets TEXT;      -- the names of all parts, JSON; `target` is the first. NULL: there is one file
ALTER TABLE attempt ADD COLUMN parts TEXT;    -- the staged parts and what they show, JSON; `staged` is the first. NULL: the whole
