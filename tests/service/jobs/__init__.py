"""The record of a job."""
