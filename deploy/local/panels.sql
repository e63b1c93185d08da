-- The expected data of each Kibana panel, as handwritten queries to the warehouse. They follow the
-- panels' titles and descriptions, so a panel with a wrong query gives a different result.
-- Each query follows its name (dashboard/panel/layer). It selects the panel's splits, then its
-- figures; instants are ms since 1970 UTC. Parameters: from_at, to_at (both inclusive), device_id.
-- `<quantity>` stands for each measured quantity.

-- fleet/gateways/0
SELECT COUNT(DISTINCT device_id) FROM fct_status;

-- fleet/on/0
SELECT COALESCE(SUM(state = 'raised') - SUM(state = 'cleared'), 0) FROM fct_alert;

-- fleet/undated/0
SELECT COUNT(*) FROM fct_reading
WHERE observed_at IS NULL AND received_at BETWEEN :from_at AND :to_at;

-- fleet/silent/0
SELECT heard.device_id,
       TIMESTAMPDIFF(MICROSECOND, '1970-01-01', heard.received_at) DIV 1000,
       TIMESTAMPDIFF(MICROSECOND, '1970-01-01', heard.observed_at) DIV 1000,
       running.queued_blocks, running.queued_bytes, newest.version
FROM (SELECT device_id, MAX(received_at) AS received_at, MAX(observed_at) AS observed_at
      FROM fct_status GROUP BY device_id) heard
LEFT JOIN (SELECT device_id, version,
                  ROW_NUMBER() OVER (PARTITION BY device_id ORDER BY observed_at DESC) AS nth
           FROM fct_status) newest
  ON newest.device_id = heard.device_id AND newest.nth = 1
LEFT JOIN (SELECT device_id, queued_blocks, queued_bytes,
                  ROW_NUMBER() OVER (PARTITION BY device_id ORDER BY observed_at DESC) AS nth
           FROM fct_status WHERE phase = 'running') running
  ON running.device_id = heard.device_id AND running.nth = 1;

-- fleet/alerts-now/0
SELECT device_id, condition_id, basis,
       SUM(state = 'raised') - SUM(state = 'cleared'),
       TIMESTAMPDIFF(MICROSECOND, '1970-01-01', MAX(IF(state = 'raised', observed_at, NULL))) DIV 1000,
       TIMESTAMPDIFF(MICROSECOND, '1970-01-01', MAX(IF(state = 'cleared', observed_at, NULL))) DIV 1000
FROM fct_alert
GROUP BY device_id, condition_id, basis;

-- fleet/forecasts/0
SELECT device_id, condition_id, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', observed_at) DIV 1000,
       probability, horizon_s, version
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY device_id, condition_id
                                   ORDER BY observed_at DESC) AS nth
      FROM fct_prediction
      WHERE mode = 'active' AND observed_at BETWEEN :from_at AND :to_at) made
WHERE nth = 1;

-- fleet/cloud-forecasts/0
SELECT device_id, condition_id, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', issued_at) DIV 1000,
       probability, horizon_s, version
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY device_id, condition_id
                                   ORDER BY issued_at DESC) AS nth
      FROM cloud_prediction
      WHERE NOT late AND issued_at BETWEEN :from_at AND :to_at) made
WHERE nth = 1;

-- fleet/delivery/0
SELECT TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms, COUNT(*)
FROM fct_reading
WHERE observed_at BETWEEN :from_at AND :to_at
GROUP BY hour_ms;

-- fleet/delivery/1
SELECT TIMESTAMPDIFF(HOUR, '1970-01-01', received_at) * 3600000 AS hour_ms, COUNT(*)
FROM fct_reading
WHERE received_at BETWEEN :from_at AND :to_at
GROUP BY hour_ms;

-- fleet/held/0
SELECT device_id, TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms,
       MAX(queued_blocks)
FROM fct_status
WHERE observed_at BETWEEN :from_at AND :to_at
GROUP BY device_id, hour_ms;

-- fleet/losses/0
SELECT device_id, reason, COUNT(*), COALESCE(SUM(estimated_total), 0)
FROM fct_loss
GROUP BY device_id, reason;

-- gateway/<quantity>/0
SELECT sensor_id, TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms, AVG(value)
FROM fct_reading
WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
  AND quantity = '<quantity>' AND quality = 'good' AND (statistic IS NULL OR statistic = 'mean')
GROUP BY sensor_id, hour_ms;

-- gateway/quality/0
SELECT quality, TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms, COUNT(*)
FROM fct_reading
WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
GROUP BY quality, hour_ms;

-- gateway/signals/0
SELECT told.sensor_id, told.quantity, told.readings, told.good, told.low, told.high,
       TIMESTAMPDIFF(MICROSECOND, '1970-01-01', told.observed_at) DIV 1000, newest.value
FROM (SELECT sensor_id, quantity, COUNT(*) AS readings, SUM(quality = 'good') AS good,
             MIN(value) AS low, MAX(value) AS high, MAX(observed_at) AS observed_at
      FROM fct_reading
      WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
      GROUP BY sensor_id, quantity) told
LEFT JOIN (SELECT sensor_id, quantity, value,
                  ROW_NUMBER() OVER (PARTITION BY sensor_id, quantity
                                     ORDER BY observed_at DESC) AS nth
           FROM fct_reading
           WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
             AND value IS NOT NULL AND (statistic IS NULL OR statistic = 'mean')) newest
  ON newest.sensor_id = told.sensor_id AND newest.quantity = told.quantity AND newest.nth = 1;

-- gateway/edge/0
SELECT condition_id, TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms,
       AVG(IF(mode = 'active', probability, NULL))
FROM fct_prediction
WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
GROUP BY condition_id, hour_ms;

-- gateway/edge/1
SELECT condition_id, TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms,
       SUM(state = 'raised' AND basis = 'observed')
FROM fct_alert
WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
GROUP BY condition_id, hour_ms;

-- gateway/cloud/0
SELECT condition_id, TIMESTAMPDIFF(HOUR, '1970-01-01', issued_at) * 3600000 AS hour_ms,
       AVG(IF(late, NULL, probability))
FROM cloud_prediction
WHERE device_id = :device_id AND issued_at BETWEEN :from_at AND :to_at
GROUP BY condition_id, hour_ms;

-- gateway/cloud/1
SELECT condition_id, TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms,
       SUM(state = 'raised' AND basis = 'observed')
FROM fct_alert
WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
GROUP BY condition_id, hour_ms;

-- gateway/alerts/0
SELECT condition_id, basis, SUM(state = 'raised'), SUM(state = 'cleared'),
       SUM(state = 'raised') - SUM(state = 'cleared'),
       TIMESTAMPDIFF(MICROSECOND, '1970-01-01', MAX(IF(state = 'raised', observed_at, NULL))) DIV 1000
FROM fct_alert
WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
GROUP BY condition_id, basis;

-- gateway/health/0
SELECT TIMESTAMPDIFF(HOUR, '1970-01-01', observed_at) * 3600000 AS hour_ms,
       MAX(sample_failures_total), MAX(queued_blocks)
FROM fct_status
WHERE device_id = :device_id AND observed_at BETWEEN :from_at AND :to_at
GROUP BY hour_ms;
