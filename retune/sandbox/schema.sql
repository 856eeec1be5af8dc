-- SPDX-License-Identifier: GPL-3.0-or-later
-- An insurance lead generator. Sizes come from the settings sandbox.leads and sandbox.events of the session.
-- Constraints and indexes follow the rows, which is quicker. events(lead_id) has no index: that is the case to tune.

SET synchronous_commit = off;
SET client_min_messages = warning;
SELECT setseed(0.42);

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY,
    email text NOT NULL,
    full_name text NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE leads (
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id bigint NOT NULL,
    product text NOT NULL,
    source text NOT NULL,
    status text NOT NULL DEFAULT 'new',
    full_name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    postcode text NOT NULL,
    date_of_birth date NOT NULL,
    score smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE quotes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    lead_id bigint NOT NULL,
    carrier text NOT NULL,
    premium_cents integer NOT NULL,
    deductible_cents integer NOT NULL,
    status text NOT NULL DEFAULT 'offered',
    valid_until date NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE policies (
    id bigint GENERATED ALWAYS AS IDENTITY,
    quote_id bigint NOT NULL,
    number text NOT NULL,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    annual_premium_cents integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    lead_id bigint NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO users (email, full_name, role, created_at)
SELECT 'agent' || i || '@example.com', 'Agent ' || i, (ARRAY['agent', 'agent', 'agent', 'manager'])[1 + i % 4],
       now() - interval '2 years' + i * interval '1 hour'
FROM generate_series(1, greatest(current_setting('sandbox.leads')::int / 100, 20)) AS i;

INSERT INTO leads (user_id, product, source, status, full_name, email, phone, postcode, date_of_birth, score,
                   created_at, updated_at)
SELECT 1 + i % greatest(current_setting('sandbox.leads')::int / 100, 20),
       (ARRAY['auto', 'home', 'life', 'health', 'renters'])[1 + i % 5],
       (ARRAY['search', 'social', 'affiliate', 'partner', 'direct', 'referral'])[1 + (random() * 5)::int],
       (ARRAY['new', 'contacted', 'quoted', 'quoted', 'won', 'lost'])[1 + (random() * 5)::int],
       'Customer ' || i, 'customer' || i || '@example.com', '+1555' || lpad(i::text, 7, '0'),
       lpad((random() * 99999)::int::text, 5, '0'), date '1950-01-01' + (random() * 20000)::int,
       (random() * 100)::int, t, t + random() * interval '10 days'
FROM generate_series(1, current_setting('sandbox.leads')::int) AS i,
     LATERAL (SELECT now() - (current_setting('sandbox.leads')::int - i) * interval '5 minutes' AS t) AS made;

INSERT INTO quotes (lead_id, carrier, premium_cents, deductible_cents, valid_until, created_at)
SELECT lead.id, (ARRAY['Northwind Mutual', 'Fabrikam', 'Contoso Life', 'Tailspin'])[1 + (random() * 3)::int],
       20000 + (random() * 180000)::int, 25000 * (1 + (random() * 3)::int), current_date + 30,
       lead.created_at + nth * interval '20 minutes'
FROM leads AS lead, generate_series(1, 2) AS nth
ORDER BY lead.id;

INSERT INTO policies (quote_id, number, starts_on, ends_on, annual_premium_cents, created_at)
SELECT id, 'P-' || lpad(id::text, 9, '0'), created_at::date + 14, created_at::date + 379, premium_cents * 12,
       created_at + interval '1 day'
FROM quotes
WHERE id % 16 = 0
ORDER BY id;

-- Low numbered leads have more events, as old leads do.
INSERT INTO events (lead_id, kind, payload, created_at)
SELECT 1 + floor(power(random(), 1.5) * current_setting('sandbox.leads')::int)::bigint,
       (ARRAY['page_view', 'form_step', 'email_open', 'call', 'quote_view', 'sms'])[1 + i % 6],
       ('{"session": "' || md5(i::text) || '", "path": "/quote/step/' || i % 7
        || '", "agent": "Mozilla/5.0", "duration_ms": ' || i % 5000 || '}')::jsonb,
       now() - (current_setting('sandbox.events')::int - i) * interval '30 seconds'
FROM generate_series(1, current_setting('sandbox.events')::int) AS i;

ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE (email);
ALTER TABLE leads ADD PRIMARY KEY (id);
ALTER TABLE quotes ADD PRIMARY KEY (id);
ALTER TABLE policies ADD PRIMARY KEY (id), ADD UNIQUE (number), ADD UNIQUE (quote_id);
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX leads_user_id_idx ON leads (user_id);
CREATE INDEX quotes_lead_id_idx ON quotes (lead_id);
ALTER TABLE leads ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE quotes ADD FOREIGN KEY (lead_id) REFERENCES leads;
ALTER TABLE policies ADD FOREIGN KEY (quote_id) REFERENCES quotes;
ALTER TABLE events ADD FOREIGN KEY (lead_id) REFERENCES leads;
