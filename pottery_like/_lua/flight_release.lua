-- KEYS: flights, wake.  ARGV: row, token, notice ('+' = look again, '!' = the computation failed).
-- include: lease_part
land(KEYS[1], ARGV[1], ARGV[2], KEYS[2], ARGV[3])
